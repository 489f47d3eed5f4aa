"""Measure how well a reward model's Bradley-Terry probabilities hold on a scored split, and draw it.

Reads a split as score_bt writes it (columns prompt_id, chosen, rejected, chosen_score, rejected_score, bt_prob); writes
one JSON file (what is in it: `pipeline.metrics.calibration`) and reliability.svg, margins.svg and lengths.svg.
"""

from pathlib import Path

from pipeline.figures.calibration import calibration_figures
from pipeline.figures.drawing import save_figure
from pipeline.jobs.io import command_line, run, write_json
from pipeline.jobs.records import Record
from pipeline.metrics.bootstrap import add_bootstrap_arguments
from pipeline.metrics.calibration import calibration, read_scored


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--scored", required=True, help="scored split, parquet")
    parser.add_argument("--dataset", required=True, help="name of the dataset, for the record")
    parser.add_argument("--reward-model", required=True, help="name of the reward model, for the record")
    parser.add_argument("--split", required=True, help="name of the split, for the record")
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--figures", type=Path, required=True, help="folder for the figures")
    add_bootstrap_arguments(parser)
    arguments = parser.parse_args(argv)
    names = {"dataset": arguments.dataset, "reward_model": arguments.reward_model, "split": arguments.split}
    record = Record(__file__, arguments, ("scored",), ("output", "figures"), names)
    measured = calibration(read_scored(arguments.scored), arguments.resamples, arguments.seed)
    for figure in calibration_figures(measured):
        save_figure(figure, arguments.figures / f"{figure.name}.svg")
    write_json(names | measured, arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
