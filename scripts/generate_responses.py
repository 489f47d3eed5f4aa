"""Generate one response per prompt of a split with a policy.

Reads the generation spec (YAML: model entry and decoding), the split and the policy; writes parquet with the columns
prompt_id, prompt, response, response_ids, response_tokens and finished.
"""

import argparse
from pathlib import Path

from pipeline.devices import add_device_arguments, device_from_arguments
from pipeline.io import read_parquet, read_yaml, run, write_parquet


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, required=True, help="generation spec, YAML")
    parser.add_argument("--data", type=Path, required=True, help="split, parquet")
    parser.add_argument("--model", required=True, help="policy, folder")
    parser.add_argument("--seed", type=int, required=True, help="seed of the sampling")
    parser.add_argument("--output", type=Path, required=True, help="parquet to write")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, ["prompt_id", "prompt"])

    from pipeline.generation import generate_responses

    device = device_from_arguments(arguments)
    result = generate_responses(spec["decoding"], spec["model"], frame, arguments.model, arguments.seed, device)
    write_parquet(result, arguments.output)
    length, ended = result["response_tokens"].mean(), result["finished"].mean()
    print(f"{len(result)} responses of {length:.1f} tokens on average, {ended:.1%} ended by themselves")


if __name__ == "__main__":
    run(main)
