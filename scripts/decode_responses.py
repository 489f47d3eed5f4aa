"""Generate one response per prompt with a policy: of a split under a further decoding of the config, or of a set.

Reads the generation spec (YAML: model entry and decoding), the split or set and the policy; writes the responses
(parquet: prompt_id, prompt, response, response_ids, response_tokens, finished; of a set category too). Of several turns
each is asked after the policy's own answers (`pipeline.generation.turns`). The log-probabilities that describe a policy
do not depend on how it is decoded: generate_responses.py computes them, with the responses under the first decoding.

Under `accelerate launch` processes share the prompts; the first one writes, and the result is the same.
"""

from pathlib import Path

from pipeline.generation.prompts import read_prompts
from pipeline.jobs.io import command_line, read_yaml, run, write_parquet
from pipeline.jobs.records import Record, record_path
from pipeline.jobs.state import JobState
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="generation spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="split or set of prompts, parquet")
    parser.add_argument("--model", required=True, help="policy, folder")
    parser.add_argument("--seed", type=int, required=True, help="seed of the sampling")
    parser.add_argument("--responses", type=Path, required=True, help="responses to write, parquet")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_prompts(arguments.data)

    from pipeline.generation.turns import answer_prompts
    from pipeline.jobs.processes import is_first_process
    from pipeline.models.checkpoints import load_evaluated, load_tokenizer
    from pipeline.models.devices import device_from_arguments
    from pipeline.models.fitting import cache_bytes, fitted

    device = device_from_arguments(arguments, spec["model"])
    entry, decoding = spec["model"], spec["decoding"]
    record = Record(__file__, arguments, ("spec", "data", "model"), ("responses",), spec, device)
    results = [arguments.responses, record_path(arguments.responses)]
    with JobState(arguments.responses, record.key) as state:
        if state.restored(results):
            return
        tokenizer = load_tokenizer(arguments.model, entry)
        policy = load_evaluated(arguments.model, entry, device)
        longest = spec["max_length"] + decoding["max_new_tokens"]
        elsewhere = decoding["backend"] != "transformers"  # then these are requests at a time
        device = fitted(device, "generate", state.folder, lambda: 0 if elsewhere else cache_bytes(policy, longest))
        named = {"seed": arguments.seed, "device": device, "path": arguments.model, "kept": state.folder}
        responses = answer_prompts(decoding, entry, frame, policy, tokenizer, **named)
        if is_first_process():
            write_parquet(responses, arguments.responses)
            record.write(results[1])
        state.finish(results)
    length, ended = responses["response_tokens"].mean(), responses["finished"].mean()
    print(f"{len(responses)} responses of {length:.1f} tokens on average, {ended:.1%} ended by themselves")


if __name__ == "__main__":
    run(main, warm=True)
