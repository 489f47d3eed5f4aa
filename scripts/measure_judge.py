"""Measure a judge against the labels of a dataset's own pairs: agreement, position and length bias, Cohen's kappa.

Reads a split (columns prompt_id, prompt, chosen, rejected) and lets the judge compare chosen with rejected on a seeded
sample of it; writes the verdicts (parquet, columns: `pipeline.columns.verdicts`, the run is "chosen") and what was
measured (JSON, `pipeline.metrics.judge_quality.judge_quality`, and as a table, CSV).
"""

from pathlib import Path

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run, write_csv, write_json, write_parquet
from pipeline.jobs.records import Record
from pipeline.judges.kinds import add_judge_arguments, judge_pairs
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.metrics.judge_quality import judge_quality, quality_table, sample_pairs


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    add_judge_arguments(parser)
    parser.add_argument("--pairs", type=Path, required=True, help="labelled pairs, parquet")
    parser.add_argument("--dataset", required=True, help="name of the dataset, for the record")
    parser.add_argument("--split", required=True, help="name of the split, for the record")
    parser.add_argument("--sample", type=int, default=500, help="pairs to judge (default %(default)s)")
    parser.add_argument("--sample-seed", type=int, default=0, help="seed of the sample (default %(default)s)")
    parser.add_argument("--verdicts", type=Path, required=True, help="verdicts to write, parquet")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--table", type=Path, required=True, help="CSV file to write: measure, value, low, high")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)

    judge = read_yaml(arguments.spec)
    inputs = ("spec", "pairs", "reward_spec", "reward_model", "service")
    record = Record(__file__, arguments, inputs, ("output", "table", "verdicts", "store"), judge)
    pairs = read_parquet(arguments.pairs, SPLIT_COLUMNS)
    table = sample_pairs(pairs, arguments.sample, arguments.sample_seed)
    verdicts = judge_pairs(table, arguments, "chosen", 0, "rejected")
    names = {"dataset": arguments.dataset, "split": arguments.split, "judge": judge["name"], "kind": judge["kind"]}
    models = ", ".join(sorted(set(verdicts["judge_model"]) - {""}))
    measured = judge_quality(verdicts, arguments.resamples, arguments.seed)
    write_parquet(verdicts, arguments.verdicts)
    write_json(names | {"model": models} | measured, arguments.output)
    write_csv(quality_table(measured), arguments.table)
    record.write()


if __name__ == "__main__":
    run(main)
