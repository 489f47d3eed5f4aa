"""Generate one response per prompt of a split with a policy, and compute the log-probabilities that describe it.

Reads the generation spec (YAML: model entry and decoding), the split, its reference log-probabilities, the policy and
the SFT model. Writes the responses (parquet: prompt_id, prompt, response, response_ids, response_tokens, finished) and
the log-probabilities behind implicit rewards and KL (parquet, columns: `pipeline.generation.evaluation`).
KL is an expectation over the policy's own samples: where the decoding is another, it gets a sample of its own.

Under `accelerate launch` processes share the prompts; the first one writes, and the result is the same.
"""

from pathlib import Path

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record, record_path
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="generation spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="split, parquet")
    parser.add_argument("--reference", type=Path, required=True, help="reference log-probabilities, parquet")
    parser.add_argument("--model", required=True, help="policy, folder")
    parser.add_argument("--reference-model", required=True, help="SFT model, folder")
    parser.add_argument("--seed", type=int, required=True, help="seed of the sampling")
    parser.add_argument("--responses", type=Path, required=True, help="responses to write, parquet")
    parser.add_argument("--evaluation", type=Path, required=True, help="log-probabilities to write, parquet")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, SPLIT_COLUMNS)
    reference = read_parquet(arguments.reference, ["prompt_id", *REFERENCE_LOGPS])

    from pipeline.generation.evaluation import evaluate_policy
    from pipeline.generation.responses import PLAIN_SAMPLING, generate_responses
    from pipeline.jobs.processes import is_first_process
    from pipeline.models.checkpoints import load_evaluated, load_tokenizer
    from pipeline.models.devices import device_from_arguments
    from pipeline.models.fitting import cache_bytes, fitted, forward_bytes

    device = device_from_arguments(arguments, spec["model"])
    entry, decoding = spec["model"], spec["decoding"]
    inputs, outputs = ("spec", "data", "reference", "model", "reference_model"), ("responses", "evaluation")
    record = Record(__file__, arguments, inputs, outputs, spec, device)
    results = [arguments.responses, arguments.evaluation]
    results += [record_path(path) for path in results]
    with JobState(arguments.responses, record.key) as state:
        if state.restored(results):
            return
        tokenizer = load_tokenizer(arguments.model, entry)
        policy, base = (load_evaluated(path, entry, device) for path in (arguments.model, arguments.reference_model))
        longest = spec["max_length"] + decoding["max_new_tokens"]
        elsewhere = decoding.get("backend", "transformers") != "transformers"  # then these are requests at a time
        device = fitted(device, "generate", state.folder, lambda: 0 if elsewhere else cache_bytes(policy, longest))
        device = fitted(device, "reference", state.folder, lambda: forward_bytes(policy, longest))
        common = (entry, frame, policy, tokenizer, arguments.seed, device, arguments.model)
        responses = generate_responses(decoding, *common, kept=state.folder / "responses")
        plain, kept = decoding | PLAIN_SAMPLING, state.folder / "sample"
        sample = responses if decoding == plain else generate_responses(plain, *common, kept=kept)
        models = policy, base, tokenizer
        evaluation = evaluate_policy(entry, frame, reference, sample, *models, device, spec["max_length"])
        if is_first_process():
            write_parquet(responses, arguments.responses)
            write_parquet(evaluation, arguments.evaluation)
            for path in results[2:]:
                record.write(path)
        state.finish(results)
    length, ended = responses["response_tokens"].mean(), responses["finished"].mean()
    print(f"{len(responses)} responses of {length:.1f} tokens on average, {ended:.1%} ended by themselves")


if __name__ == "__main__":
    run(main, warm=True)
