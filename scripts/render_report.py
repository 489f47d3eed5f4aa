"""Render the report: one HTML file with the answer, the tables, the figures, the data cards and sample responses.

Reads the run table, the files that it names, the result tables, the figures, the data cards and the calibration of the
scored splits, whose figures are in the folder of that name beside the JSON file. The file that it writes opens offline
and asks the network for nothing.
"""

import argparse

from pipeline.io import read_json, run, write_text
from pipeline.report import render_report
from pipeline.report.calibration import read_calibration
from pipeline.report.judge_quality import read_judge_quality
from pipeline.run_table import read_run_table
from pipeline.score_comparison import read_comparison
from pipeline.tables import read_table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", required=True, help="run table (YAML)")
    parser.add_argument("--winrate", required=True, help="win-rate table (CSV)")
    parser.add_argument("--cost", required=True, help="cost table (CSV)")
    parser.add_argument("--figures", required=True, help="folder of the figures (SVG)")
    parser.add_argument("--cards", nargs="*", default=[], help="data cards (JSON)")
    parser.add_argument("--scores", help="comparison of the runs' scores with the pairs' (CSV)")
    parser.add_argument("--calibration", nargs="*", default=[], help="calibration of the scored splits (JSON)")
    parser.add_argument("--judges", nargs="*", default=[], help="measured quality of the judges (JSON)")
    parser.add_argument("--output", required=True, help="report to write (HTML)")
    arguments = parser.parse_args(argv)
    page = render_report(
        read_run_table(arguments.runs),
        read_table(arguments.winrate),
        read_table(arguments.cost),
        arguments.figures,
        [read_json(card) for card in arguments.cards],
        read_comparison(arguments.scores) if arguments.scores else [],
        [read_calibration(path) for path in arguments.calibration],
        [read_judge_quality(path) for path in arguments.judges],
    )
    write_text(page, arguments.output)


if __name__ == "__main__":
    run(main)
