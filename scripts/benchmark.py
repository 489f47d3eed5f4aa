"""Measure what the plugin and the pipeline take, in time and memory.

    python scripts/benchmark.py trainers steps online --repeats 5
    python scripts/benchmark.py gpu --help

Benchmarks, each with options of its own:
    trainers    the SAIL plugin against TRL's trainers.
    gpu         the policies' trainings on a GPU beside TRL's, with models of random weights in published shapes.
    data        the preparation of a large dataset against the row-by-row way.
    scoring     the scoring of preference pairs against a plain loop.
    statistics  the statistics of a million verdicts.
    coverage    how often the intervals of win rates hold the truth, simulated.
    sweep       the plan of a sweep, for several numbers of runs.
    forecast    the times that the plan tells, against those that jobs took.
    page        the report's page with very many responses, in a browser.
    memory      the memory of a DPO step, by the pairs that are side by side.
"""

import argparse
from importlib import import_module

from pipeline.jobs.io import command_line, run

BENCHMARKS = ("trainers", "gpu", "data", "scoring", "statistics", "coverage", "sweep", "forecast", "page", "memory")


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("benchmark", choices=BENCHMARKS, help="what to measure")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="its options, which --help after its name lists")
    arguments = parser.parse_args(argv)
    import_module(f"benchmarks.{arguments.benchmark}").main(arguments.options)


if __name__ == "__main__":
    run(main)
