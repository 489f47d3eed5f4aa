"""Choose a run's responses among candidates: to each prompt the one with the highest reward, of equal ones the first.

Reads the run's spec (YAML) and the candidates with their scores; writes the responses (parquet, columns:
`pipeline.columns.responses`), and with each the tokens of all candidates that it was chosen among.
"""

from pathlib import Path

from pipeline.columns.candidates import CANDIDATE_COLUMNS, SAMPLED_TOKENS
from pipeline.columns.responses import RESPONSE_COLUMNS
from pipeline.jobs.io import command_line, read_parquet, read_yaml, run, write_parquet
from pipeline.jobs.records import Record, record_path
from pipeline.rewards.ranking import best


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec of the run, YAML")
    parser.add_argument("--candidates", type=Path, required=True, help="candidates with their scores, parquet")
    parser.add_argument("--output", type=Path, required=True, help="responses to write, parquet")
    arguments = parser.parse_args(argv)

    spec, candidates = read_yaml(arguments.spec), read_parquet(arguments.candidates, CANDIDATE_COLUMNS)
    record = Record(__file__, arguments, ("spec", "candidates"), ("output",), spec)
    chosen = best(candidates, spec["hyperparameters"].get("missing_eos_penalty"))
    tokens = candidates.groupby("prompt_id")["response_tokens"].sum()
    chosen[SAMPLED_TOKENS] = tokens[chosen["prompt_id"]].to_numpy()
    write_parquet(chosen[[*RESPONSE_COLUMNS, SAMPLED_TOKENS]], arguments.output)
    record.write(record_path(arguments.output))
    length = chosen["response_tokens"].mean()
    print(f"{len(chosen)} responses of {length:.1f} tokens on average, each of {len(candidates) / len(chosen):g}")


if __name__ == "__main__":
    run(main)
