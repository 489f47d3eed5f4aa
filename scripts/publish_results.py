"""Publish a result on the Hugging Face Hub: a dataset, a checkpoint or the report, with its card.

Reads the publication's spec (YAML: kind, repo_type, name, private, files, folder, records; see
`pipeline.publishing.hub`) and the files that it names; writes a record of the repository and its files (JSON). Files
that the hub has are not uploaded again, so a second call uploads nothing and an interrupted one goes on. The token is
HF_TOKEN, from the environment or .env; HF_ENDPOINT names another hub.

With --stage the repository is laid out in a folder to look at, and nothing is uploaded.
"""

from pathlib import Path

from pipeline.jobs.io import command_line, read_yaml, run, write_json
from pipeline.publishing.token import require_token


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="the publication's spec, YAML")
    to = parser.add_mutually_exclusive_group(required=True)
    to.add_argument("--output", type=Path, help="record to write, JSON")
    to.add_argument("--stage", type=Path, help="folder to lay the repository out in, in place of an upload")
    arguments = parser.parse_args(argv)
    spec = read_yaml(arguments.spec)

    from pipeline.publishing.hub import publish, stage

    if arguments.stage:
        names = stage(spec, "/".join([spec.get("namespace", "user"), spec["name"]]), arguments.stage)
        print(f"{len(names)} files in {arguments.stage}")
        return
    write_json(publish(spec, require_token()), arguments.output)


if __name__ == "__main__":
    run(main)
