"""Win rates with intervals: of all runs of a config, or of any table of verdicts.

With --runs: reads the run table and the files that it names, and writes one CSV row per (dataset, model, decoding, run,
baseline); the columns are described in `pipeline.results.tables.winrate_table` and `pipeline.metrics.bootstrap`. With
--by-source a second table has the win rates on mixes by the dataset that a prompt is from. With --judges a judge that
cannot be told from a coin is among the caveats. With --set, once for each set of prompts, the rows of the sets follow,
and those over all of them, with a column `set`; with --by-category a table has the sets' win rates by category.

With --verdicts: reads a table (parquet) with the columns run, baseline, prompt_id, preference (0 to 1 for the run, null
where not parsed), len_run and len_baseline (characters), and seed and order where there are any; writes one CSV row per
(run, baseline), as `pipeline.metrics.comparison.compare` describes it: length-controlled win rates, tests, ratings.
"""

from pipeline.jobs.io import command_line, read_parquet, run, write_csv
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import DECIMALS, add_bootstrap_arguments
from pipeline.metrics.comparison import REFITS, compare
from pipeline.results.judge_agreement import with_agreement
from pipeline.results.limits import coin_like
from pipeline.results.run_table import read_run_table
from pipeline.results.set_table import category_table, with_sets
from pipeline.results.source_table import source_table
from pipeline.results.tables import winrate_table


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--runs", help="run table (YAML)")
    source.add_argument("--verdicts", help="table of verdicts (parquet)")
    parser.add_argument("--difficulty", help="difficulty of each prompt (parquet: prompt_id, difficulty)")
    parser.add_argument("--reference", help="run that the others are compared with")
    parser.add_argument("--output", required=True, help="win-rate table to write (CSV)")
    parser.add_argument("--judges", nargs="*", default=[], help="with --runs: measured quality of the judges (JSON)")
    parser.add_argument("--by-source", help="with --runs: table of the win rates on mixes by source to write (CSV)")
    parser.add_argument("--set", action="append", default=[], help="with --runs: run table (YAML) of a set of prompts")
    parser.add_argument("--by-category", help="with --set: table of the sets' win rates by category to write (CSV)")
    add_bootstrap_arguments(parser)
    parser.add_argument(
        "--refits", type=int, default=REFITS, help="resamples of what needs a fit, 0 for none (default %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if arguments.refits < 0:
        parser.error("--refits must be at least 0")
    if arguments.runs and (arguments.difficulty or arguments.reference):
        parser.error("--difficulty and --reference go with --verdicts")
    if arguments.verdicts and (arguments.by_source or arguments.judges or arguments.set):
        parser.error("--by-source, --judges and --set go with --runs")
    sets = [read_run_table(path) for path in arguments.set]
    runs = read_run_table(arguments.runs) if arguments.runs else None
    files = runs.paths("verdicts", "scores", "evaluation", "responses", "cost") if runs else []
    files += [path for table in sets for path in table.paths("verdicts", "responses")]
    inputs, spec = ("runs", "verdicts", "difficulty", "judges", "set"), runs.summary if runs else {}
    if runs and arguments.by_source:
        files += sorted({one.sources for one in runs.runs if one.sources})
    record = Record(__file__, arguments, inputs, ("output", "by_source", "by_category"), spec, files=files)
    if runs:
        counts = arguments.resamples, arguments.seed, arguments.refits
        table = with_agreement(winrate_table(runs, *counts, coin_like(arguments.judges)), arguments.judges)
        table = with_sets(table, runs.split, sets, *counts) if sets else table
        if arguments.by_source:
            write_csv(source_table(runs, *counts), arguments.by_source)
        if arguments.by_category:
            write_csv(category_table(sets, *counts), arguments.by_category)
    else:
        verdicts, difficulty = read_parquet(arguments.verdicts), None
        if arguments.difficulty:
            difficulty = read_parquet(arguments.difficulty, ["prompt_id", "difficulty"])
            difficulty = difficulty.set_index("prompt_id")["difficulty"]
        counts = arguments.resamples, arguments.refits, arguments.seed
        table = compare(verdicts, difficulty, arguments.reference, *counts).round(DECIMALS)
    write_csv(table, arguments.output, digits=6 if arguments.runs else 12)
    record.write()


if __name__ == "__main__":
    run(main)
