"""Read a run's responses that were made elsewhere, and put them to the prompts of a split that they are to.

Reads AlpacaEval's model_outputs.json, JSON lines with prompt or prompt_id and response or with messages, Arena-Hard's
answers, or parquet (`pipeline.exchange.answers`), and the split or set of prompts (prompt_id, prompt; further, what the
user says after the first answer). Writes the responses (parquet: prompt_id, prompt, response).
"""

from pathlib import Path

from pipeline.columns.responses import RESPONSE_TEXTS
from pipeline.exchange.answers import match_answers, read_answer
from pipeline.exchange.rows import read_rows
from pipeline.jobs.io import command_line, read_parquet, run, write_parquet
from pipeline.jobs.records import Record
from pipeline.results.csv_tables import require


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--file", type=Path, required=True, help="responses: .json, .jsonl, .csv or .parquet")
    parser.add_argument("--run", required=True, help="the run's name")
    parser.add_argument("--data", type=Path, required=True, help="split, parquet")
    parser.add_argument("--allow-missing", action="store_true", help="leave out prompts without a response")
    parser.add_argument("--output", type=Path, required=True, help="responses to write, parquet")
    arguments = parser.parse_args(argv)
    record = Record(__file__, arguments, ("file", "data"), ("output",), {"run": arguments.run})
    prompts = read_parquet(arguments.data)
    require(prompts, RESPONSE_TEXTS[:2], arguments.data)
    answers = [read_answer(row) for row in read_rows(arguments.file)]
    found = match_answers(answers, prompts, str(arguments.file), str(arguments.data), arguments.allow_missing)
    write_parquet(found.frame, arguments.output)
    record.write()
    print(
        f"{arguments.run}: {len(found.frame)} responses; {found.missing} prompts have none, and {found.others} rows "
        "of the file are to other prompts"
    )


if __name__ == "__main__":
    run(main)
