"""Record the win rates for Weights & Biases: one run of the project with the table and each rate in its summary.

Reads the win-rate table (CSV); writes a record of the run (JSON: project, id, offline, folder). Online with
WANDB_API_KEY, from the environment or .env, where the server answers; else into files below wandb/.
"""

from pathlib import Path

from pipeline.jobs.io import command_line, run, write_json
from pipeline.results.tables import read_set_rates
from pipeline.tracking import log_winrates, record, start_run


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--winrate", type=Path, required=True, help="win-rate table (CSV)")
    parser.add_argument("--tag", required=True, help="name of the config's table of results")
    parser.add_argument("--wandb", required=True, metavar="PROJECT", help="project of Weights & Biases")
    parser.add_argument("--output", type=Path, required=True, help="record to write, JSON")
    arguments = parser.parse_args(argv)
    table = read_set_rates(arguments.winrate)
    with start_run(arguments.wandb, arguments.tag, "win rates", "winrate", {"tag": arguments.tag}) as tracked:
        log_winrates(tracked, table)
        found = record(tracked, arguments.wandb)
    write_json(found, arguments.output)


if __name__ == "__main__":
    run(main)
