"""Responses in the formats of other projects, held against what these read."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import export_responses
from pipeline.exchange.answers import match_answers, read_answer
from pipeline.exchange.formats import exported
from pipeline.exchange.rows import read_rows
from pipeline.jobs.io import InputError, write_parquet

SYSTEM = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who are you?"}]
FRAME = pd.DataFrame(
    {
        "prompt_id": ["a", "b", "c"],
        "prompt": [[{"role": "user", "content": 'Say "é" 😀\n<b>'}], [{"role": "user", "content": "12"}], SYSTEM],
        "response": ["é 😀 {x}", "", "A cat."],
        "chosen": [[{"role": "assistant", "content": f"chosen {i}"}] for i in range(3)],  # of a split
        "reference": [[f"reference {i}"] for i in range(3)],  # of a set, an answer for each turn
    }
)
# The package's own command, of which the requests to its judge are written down in place of being sent.
JUDGED = """
import json, sys
from pathlib import Path
import alpaca_eval.annotators.base as annotators
from alpaca_eval.main import main
def written_down(prompts, **options):
    Path(sent).write_text(json.dumps(list(map(str, prompts))))
    sys.exit(0)
annotators.get_fn_completions = lambda name: written_down
sent = sys.argv.pop()
main()
"""


@pytest.fixture
def files(tmp_path):
    """A function that exports FRAME's column in a format, and gives the file."""
    write_parquet(FRAME, tmp_path / "responses.parquet")

    def make(form, file, column="response", name="dpo"):
        arguments = ["--responses", str(tmp_path / "responses.parquet"), "--column", column, "--format", form]
        export_responses.main([*arguments, "--name", name, "--set", "world", "--output", str(tmp_path / file)])
        return tmp_path / file

    return make


def test_alpaca_eval_has_one_entry_an_instruction(files):
    assert json.loads(files("alpaca_eval", "model_outputs.json").read_text()) == [
        {"dataset": "world", "instruction": instruction, "output": output, "generator": "dpo"}
        for instruction, output in (
            ('Say "é" 😀\n<b>', "é 😀 {x}"),
            ("12", ""),
            ("system: Be brief.\n\nuser: Who are you?", "A cat."),
        )
    ]
    chosen = json.loads(files("alpaca_eval", "reference.json", "chosen", "chosen").read_text())
    assert [row["output"] for row in chosen] == ["chosen 0", "chosen 1", "chosen 2"]


def test_arena_hard_finds_the_answer_by_the_question_and_the_model_by_the_file(files):
    lines = [json.loads(line) for line in files("arena_hard", "dpo.jsonl").read_text().splitlines()]
    assert [line["uid"] for line in lines] == ["a", "b", "c"] and {line["model"] for line in lines} == {"dpo"}
    assert [line["messages"][-1]["content"]["answer"] for line in lines] == FRAME["response"].tolist()
    assert lines[2]["messages"][:-1] == SYSTEM and len({line["ans_id"] for line in lines}) == 3


def test_json_lines_have_what_the_table_has(files):
    lines = [json.loads(line) for line in files("json_lines", "responses.jsonl").read_text().splitlines()]
    assert lines[2] == {"prompt_id": "c", "prompt": SYSTEM, "response": "A cat.", "run": "dpo", "prompts": "world"}


@pytest.mark.parametrize(
    ("form", "file"),
    [("alpaca_eval", "model_outputs.json"), ("arena_hard", "dpo.jsonl"), ("json_lines", "responses.jsonl")],
)
def test_what_goes_out_comes_in_again(form, file, files):
    answers = [read_answer(row) for row in read_rows(files(form, file))]
    if form == "alpaca_eval":  # whose dialogues are one text
        answers = answers[:2]
    found = match_answers(answers, FRAME[: len(answers)], "f", "eval")
    assert found.frame["response"].tolist() == FRAME["response"].tolist()[: len(answers)]
    assert {answer.run for answer in answers} == {"dpo"}


def test_the_last_of_several_answers_counts_and_absent_ones_are_left_out():
    frame = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["p", "q"], "response": [["first", "second"], None]})
    [line] = exported(frame, "json_lines", "reference", "set").splitlines()
    assert json.loads(line)["response"] == "second"
    with pytest.raises(InputError, match="no responses of reference"):
        exported(frame[1:], "json_lines", "reference", "set")


def test_two_prompts_of_one_text_are_refused_for_alpaca_eval():
    frame = pd.DataFrame(
        {"prompt_id": ["a", "b"], "prompt": ["p", [{"role": "user", "content": "p"}]], "response": "r"}
    )
    with pytest.raises(InputError, match="prompts a and b of set are one instruction, 'p'"):
        exported(frame, "alpaca_eval", "dpo", "set")


@pytest.fixture
def alpaca_eval():
    """The folder of the environment that `.ci/alpaca-eval` makes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("ALPACA_EVAL_ENVIRONMENT") or cache / "sail-pipeline/alpaca-eval-0.6.6")
    if not (folder / "requirements.txt").is_file():
        pytest.skip(f"no environment of alpaca-eval in {folder}: .ci/alpaca-eval makes one")
    return folder


def test_the_package_takes_the_files_up_to_asking_its_judge(alpaca_eval, files, tmp_path):
    outputs = [files("alpaca_eval", "model_outputs.json"), files("alpaca_eval", "r.json", "reference", "reference")]
    sent = tmp_path / "sent.json"
    command = [alpaca_eval / "bin/python", "-c", JUDGED, "--model_outputs", outputs[0]]
    command += ["--reference_outputs", outputs[1], sent]
    environment = os.environ | {"OPENAI_API_KEY": "none"}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0 and sent.is_file(), ended.stderr
    assert "Evaluating the dpo outputs" in ended.stderr and "missing examples or duplicates" not in ended.stderr
    prompts = json.loads(sent.read_text())
    assert len(prompts) == 3
    for place, row in FRAME.iterrows():
        assert any(row["response"] in request and f"reference {place}" in request for request in prompts)
