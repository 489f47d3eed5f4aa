"""Print what the judges of a config will take: requests, tokens and, where judge.yaml has prices, US dollars.

Reads run tables, the datasets' judged splits and sets of prompts, judges' specs and judge.yaml, the responses that
exist already and the stored replies; asks no judge anything. How it counts: `pipeline.judges.cost`.
"""

from pathlib import Path

import pyarrow.parquet as pq

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.columns.prompts import FURTHER, SET_COLUMNS
from pipeline.config.judges import read_service
from pipeline.jobs.io import InputError, command_line, read_parquet, read_yaml, run
from pipeline.judges.cost import CostEstimate, describe, estimate_cost, leave_out_answered
from pipeline.metrics.judge_quality import sample_pairs
from pipeline.results.run_table import read_run_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--dataset", action="append", default=[], help="name of a dataset; the next four go with it")
    parser.add_argument("--runs", action="append", default=[], help="run table (YAML) of what is judged of it")
    parser.add_argument(
        "--split", action="append", default=[], type=Path, help="its judged split, or a set of prompts, parquet"
    )
    parser.add_argument("--spec", action="append", default=[], type=Path, help="its judge's spec, YAML")
    parser.add_argument("--service", action="append", default=[], type=Path, help="its judge's judge.yaml")
    parser.add_argument("--store", type=Path, required=True, help="folder of the replies that are paid for")
    parser.add_argument("--max-new-tokens", type=int, required=True, help="most tokens of a generated response")
    parser.add_argument(
        "--quality-pairs", type=int, default=0, help="labelled pairs to measure judges on, of a dataset's first split"
    )
    parser.add_argument("--quality-seed", type=int, default=0, help="seed of the sample of labelled pairs")
    arguments = parser.parse_args(argv)
    lists = arguments.dataset, arguments.runs, arguments.split, arguments.spec, arguments.service
    if len({len(values) for values in lists}) > 1:
        raise InputError("--dataset, --runs, --split, --spec and --service go together, each as often as the others")
    estimates: list[CostEstimate] = []
    for dataset, runs, split, spec, service in zip(*lists, strict=True):
        table, sample, prompts = read_run_table(runs), None, None
        if FURTHER in pq.read_schema(split).names:
            pairs = prompts = read_parquet(split, SET_COLUMNS)
        else:
            pairs = read_parquet(split, SPLIT_COLUMNS)
        if prompts is None and arguments.quality_pairs and dataset not in {estimate.dataset for estimate in estimates}:
            sample = sample_pairs(pairs, arguments.quality_pairs, arguments.quality_seed)
        named = pairs, read_yaml(spec), read_service(service)
        estimate = estimate_cost(table, dataset, *named, arguments.max_new_tokens, sample, prompts)
        leave_out_answered(estimate, arguments.store)
        estimates.append(estimate)
    print(describe(estimates) if estimates else "No judge of this config is of kind openai: judging takes no money.")


if __name__ == "__main__":
    run(main)
