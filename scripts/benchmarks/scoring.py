"""Time the scoring of preference pairs against a plain loop, whole processes in turn.

Pairs of dialogues with lengths like those of hh-rlhf, a Llama-shaped reward model with random weights. Every
measurement is a process of its own; the cases take turns, and the table has the median of the repeats' ratios. The
scores of all cases are compared.

    python scripts/benchmark.py scoring --repeats 5 --output results/benchmark_scoring.json

Cases:
    plain   rows as they arrive, 16 texts side by side padded to the longest, chosen and rejected apart.
    sorted  like lengths together within the budget of tokens, each distinct text once.
    shared  also the prompt of a pair once: what `score_bt` does.
"""

import argparse
import json
import tempfile
import time
from functools import partial

from benchmarks.measuring import RANGE, compare, formatted_table, in_a_process, options_of, parser_of
from pipeline.jobs.io import write_json

PLAIN_BATCH = 16
# Quantiles of the number of words (0, 5, 25, 50, 75, 95, 100%) of 600 pairs of hh-rlhf's harmless-base.
PROMPT_WORDS = (3, 8, 19, 58, 114, 233, 614)
RESPONSE_WORDS = (0, 4, 11, 24, 44, 98, 418)
AT = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
# Of a table, with the format of each cell.
COLUMNS = {"case": "{case}", "rows/s": "{rows_per_second:.1f}", "times as fast as plain (range)": RANGE}
COLUMNS |= {"largest difference": "{largest_difference:.1e}", "peak MiB": "{peak_mib:.0f}"}
WORDS = [
    *("the", "of", "and", "to", "in", "is", "you", "that", "it", "for", "was", "on", "are", "as"),
    *("with", "they", "be", "at", "one", "have", "this", "from", "or", "had", "by", "some", "what"),
]


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("scoring", __doc__)
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each case")
    parser.add_argument("--pairs", type=int, default=256, help="pairs to score")
    parser.add_argument("--width", type=int, default=256, help="hidden size of the reward model")
    parser.add_argument("--layers", type=int, default=4, help="layers of the reward model")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of each process")
    parser.add_argument("--device", default="auto", help="name of an entry of config/devices.yaml")
    parser.add_argument("--model", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.case:
        print(json.dumps(measure(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        save_model(arguments, folder)
        arguments.model = folder
        results = measure_all(arguments)
    print(formatted_table(results["cases"], COLUMNS))
    write_json(results, arguments.output)


def measure_all(arguments: argparse.Namespace) -> dict:
    """All cases, measured in turn: medians over the repeats, and how far apart the scores are."""
    options = options_of(arguments, "model", "device", "pairs", "threads")
    timed, cases = partial(in_a_process, "scoring", options=options), {case: case for case in SCORERS}
    rows = compare(cases, arguments.repeats, timed, lambda seconds, plain: plain / seconds)
    plain, *_ = measured = [row.pop("measurements")[0] for row in rows]
    for row, found in zip(rows, measured, strict=True):
        row["rows_per_second"] = 2 * arguments.pairs / row["seconds"]
        row["largest_difference"] = max(abs(a - b) for a, b in zip(plain["scores"], found["scores"], strict=True))
    settings = {name: getattr(arguments, name) for name in ("repeats", "pairs", "width", "layers", "threads")}
    return {"settings": settings | {"tokens": plain["tokens"]}, "cases": rows}


def pairs(count: int):
    """Prompts, chosen and rejected responses of random words, with hh-rlhf's lengths."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)

    def texts(quantiles: tuple) -> list[str]:
        lengths = np.interp(rng.random(count), AT, quantiles).astype(int)
        return [" ".join(rng.choice(WORDS, max(1, length))) for length in lengths]

    columns = {"prompt": PROMPT_WORDS, "chosen": RESPONSE_WORDS, "rejected": RESPONSE_WORDS}
    return pd.DataFrame({name: texts(quantiles) for name, quantiles in columns.items()})


def save_model(arguments: argparse.Namespace, folder: str) -> None:
    """A score model with random weights and a tokenizer that was trained on the pairs."""
    import torch
    from transformers import AutoModelForSequenceClassification, LlamaConfig

    from pipeline.models.checkpoints import train_tokenizer
    from pipeline.rewards.saving import save_score_model

    frame = pairs(arguments.pairs)
    tokenizer = train_tokenizer([*frame["prompt"], *frame["chosen"]], 512)
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=arguments.width,
        intermediate_size=3 * arguments.width,
        num_hidden_layers=arguments.layers,
        num_attention_heads=4,
        max_position_embeddings=4096,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
    )
    save_score_model(AutoModelForSequenceClassification.from_config(config), tokenizer, folder, "chat_template")


def measure(arguments: argparse.Namespace) -> dict:
    """Score in one case: {seconds, tokens, scores, peak_mib}; the model is loaded before the clock starts."""
    from pipeline.models.devices import device_from_arguments
    from pipeline.rewards.scorer import RewardModel
    from pipeline.training.running import peak_memory_mib

    arguments.side_by_side = 0
    device = device_from_arguments(arguments)
    model = RewardModel(arguments.model, {}, device)
    frame = pairs(arguments.pairs)
    prompts, responses = [*frame["prompt"]] * 2, [*frame["chosen"], *frame["rejected"]]
    model.score(prompts[:2], responses[:2])
    started = time.perf_counter()
    scores = SCORERS[arguments.case](model, prompts, responses)
    seconds = time.perf_counter() - started
    tokens = sum(len(text["input_ids"]) for text in model.inputs(prompts, responses))
    return {"seconds": seconds, "tokens": tokens, "scores": scores, "peak_mib": peak_memory_mib(device)}


def plain_loop(model, prompts: list, responses: list) -> list[float]:
    """Rows as they arrive, chosen before rejected, a fixed number side by side."""
    import torch

    from pipeline.rewards.batches import padded

    scores = []
    for start in range(0, len(prompts), PLAIN_BATCH):
        inputs = model.inputs(prompts[start : start + PLAIN_BATCH], responses[start : start + PLAIN_BATCH])
        with torch.no_grad():
            tensors = {name: tensor.to(model.torch_device) for name, tensor in padded(inputs, 0).items()}
            scores += model.network(**tensors).tolist()
    return scores


SCORERS = {
    "plain": plain_loop,
    "sorted": lambda model, prompts, responses: model.score(prompts, responses),
    "shared": lambda model, prompts, responses: model.score_once(prompts, responses, columns=2),
}
