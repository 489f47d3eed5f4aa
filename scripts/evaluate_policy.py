"""Compute the log-probabilities behind implicit rewards and KL: of the eval pairs and of the policy's own responses.

Reads the generation spec (YAML), the split, the reference log-probabilities, the responses, the policy and the SFT
model; writes parquet, one row per prompt, with the columns that `pipeline.evaluation.evaluate_policy` names.
"""

import argparse
from pathlib import Path

from pipeline.devices import add_device_arguments, device_from_arguments
from pipeline.io import read_parquet, read_yaml, run, write_parquet


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, required=True, help="generation spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="split, parquet")
    parser.add_argument("--reference", type=Path, required=True, help="reference log-probabilities, parquet")
    parser.add_argument("--responses", type=Path, required=True, help="the policy's responses, parquet")
    parser.add_argument("--model", required=True, help="policy, folder")
    parser.add_argument("--reference-model", required=True, help="SFT model, folder")
    parser.add_argument("--output", type=Path, required=True, help="parquet to write")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, ["prompt_id", "prompt", "chosen", "rejected"])
    reference = read_parquet(arguments.reference, ["prompt_id", "ref_chosen_logps", "ref_rejected_logps"])
    responses = read_parquet(arguments.responses, ["prompt_id", "response_ids"])

    from pipeline.evaluation import evaluate_policy

    device = device_from_arguments(arguments)
    result = evaluate_policy(
        spec["model"], frame, reference, responses, arguments.model, arguments.reference_model, device
    )
    write_parquet(result, arguments.output)


if __name__ == "__main__":
    run(main)
