"""Write responses in the format of another project: AlpacaEval, Arena-Hard, or JSON lines for anything else.

Reads a table of responses, or of prompts with responses of their own (parquet: prompt_id, prompt and the column of the
responses). The formats: `pipeline.exchange.formats`.
"""

from pathlib import Path

from pipeline.columns.responses import EXPORT_FORMATS, RESPONSE_TEXTS
from pipeline.exchange.formats import exported
from pipeline.jobs.io import command_line, read_parquet, run, write_text
from pipeline.jobs.records import Record


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--responses", type=Path, required=True, help="responses, parquet")
    parser.add_argument("--column", default="response", help="column of the responses (default %(default)s)")
    parser.add_argument("--format", choices=EXPORT_FORMATS, required=True, help="what is written")
    parser.add_argument("--name", required=True, help="name of what made the responses")
    parser.add_argument("--set", required=True, help="name of the prompts")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    arguments = parser.parse_args(argv)
    named = {"format": arguments.format, "name": arguments.name, "set": arguments.set}
    record = Record(__file__, arguments, ("responses",), ("output",), named)
    frame = read_parquet(arguments.responses, [*RESPONSE_TEXTS[:2], arguments.column])
    frame = frame.rename(columns={arguments.column: "response"})
    write_text(exported(frame, arguments.format, arguments.name, arguments.set), arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)
