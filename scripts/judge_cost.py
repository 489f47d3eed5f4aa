"""Print what the judges of a config will take: requests, tokens and, where judge.yaml has prices, US dollars.

Reads the run table, each dataset's judged split, judges' specs, the responses that exist already and the stored
replies; asks no judge anything. How it counts: `pipeline.judges.cost`.
"""

import argparse
from pathlib import Path

from pipeline.io import InputError, read_parquet, read_yaml, run
from pipeline.judge_quality import sample_pairs
from pipeline.judges.cost import describe, judge_bill, strike_answered
from pipeline.run_table import read_run_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--dataset", action="append", default=[], help="name of a dataset; the next three go with it")
    parser.add_argument("--split", action="append", default=[], type=Path, help="its judged split, parquet")
    parser.add_argument("--spec", action="append", default=[], type=Path, help="its judge's spec, YAML")
    parser.add_argument("--service", action="append", default=[], type=Path, help="its judge's service, YAML")
    parser.add_argument("--store", type=Path, required=True, help="folder of the replies that are paid for")
    parser.add_argument("--max-new-tokens", type=int, required=True, help="most tokens of a generated response")
    parser.add_argument("--quality-pairs", type=int, default=0, help="labelled pairs that judges are measured on")
    parser.add_argument("--quality-seed", type=int, default=0, help="seed of the sample of labelled pairs")
    arguments = parser.parse_args(argv)
    lists = arguments.dataset, arguments.split, arguments.spec, arguments.service
    if len({len(values) for values in lists}) > 1:
        raise InputError("--dataset, --split, --spec and --service go together, each as often as the others")
    table, bills = read_run_table(arguments.runs), []
    for dataset, split, spec, service in zip(*lists, strict=True):
        pairs = read_parquet(split, ["prompt_id", "prompt", "chosen", "rejected"])
        sample = (
            sample_pairs(pairs, arguments.quality_pairs, arguments.quality_seed) if arguments.quality_pairs else None
        )
        named = pairs, read_yaml(spec), read_yaml(service)
        bill = judge_bill(table, dataset, *named, arguments.max_new_tokens, sample)
        strike_answered(bill, arguments.store)
        bills.append(bill)
    print(describe(bills) if bills else "No judge of this config is of kind openai: judging takes no money.")


if __name__ == "__main__":
    run(main)
