"""A function of the user's as a judge: what it is given, what counts, what is unparsed."""

import json

import pandas as pd
import pytest

import judge_responses
from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.jobs.io import InputError, read_parquet, write_parquet, write_yaml
from pipeline.judges.checks import judge_by_check, load_function

TABLE = pd.DataFrame(
    {
        "prompt_id": ["a", "b", "c", "d"],
        "prompt": ["1 + 1", "1 + 2", "2 + 2", "3 + 3"],
        "response": ["2", "4", "four", "6"],
        "baseline_response": ["3", "3", "4", "6"],
        "reference": ["2", "3", "4", "6"],
        "category": "sums",
        "row": [{"n": i} for i in range(4)],
    }
)
RIGHT = "def right(response, reference):\n    return int(response) == int(reference)\n"


@pytest.fixture
def judged(tmp_path, capsys):
    """A function from a check's code to its verdicts and what was printed."""

    def judge(code, baseline="check", share=0.5, table=TABLE, name="right"):
        path = tmp_path / f"check{abs(hash(code))}.py"
        path.write_text(code)
        spec = {"name": "mine", "kind": "check", "function": f"{path}:{name}", "max_failed_share": share}
        return judge_by_check(table, spec, "dpr", 1, baseline), capsys.readouterr().out

    return judge


def test_against_check_the_preference_is_what_it_says_and_an_exception_is_unparsed(judged):
    verdicts, told = judged(RIGHT)
    assert list(verdicts.columns) == VERDICT_COLUMNS
    assert verdicts["preference"].fillna(-1).tolist() == [1, 0, -1, 1]
    assert verdicts["status"].tolist() == ["parsed", "parsed", "unparsed", "parsed"]
    assert (verdicts["len_run"] == verdicts["len_baseline"]).all() and verdicts["score_baseline"].isna().all()
    assert told == "4 verdicts, 1 unparsed; the first: ValueError: invalid literal for int() with base 10: 'four'\n"


def test_against_a_run_the_better_answer_wins(judged):
    verdicts, _ = judged(RIGHT, "dpo")
    assert verdicts["preference"].fillna(-1).tolist() == [1, 0, -1, 0.5]
    assert verdicts["score_baseline"].tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("value", ["None", "'yes'", "2", "-1", "float('nan')", "[True]"])
def test_what_is_no_number_from_0_to_1_is_unparsed(judged, value):
    verdicts, told = judged(f"def right(response):\n    return {value} if response == '2' else 0.25\n")
    assert verdicts["status"].tolist() == ["unparsed", "parsed", "parsed", "parsed"]
    assert verdicts["preference"].tolist()[1:] == [0.25] * 3 and "the first: it gave" in told


def test_it_is_given_what_it_has_parameters_for(judged):
    code = "def right(prompt, row, category, **others):\n    assert set(others) == {'response', 'reference'}\n"
    verdicts, _ = judged(f"{code}    return (prompt, row['n'], category) == ('1 + 1', 0, 'sums')\n")
    assert verdicts["preference"].tolist() == [1, 0, 0, 0]
    verdicts, _ = judged(
        "def right(reference=None, row=None):\n    return reference is row is None\n", table=TABLE[TABLE.columns[:4]]
    )
    assert verdicts["preference"].tolist() == [1, 1, 1, 1]


def test_too_many_unparsed_verdicts_end_the_job_with_the_first_reason(judged):
    with pytest.raises(InputError, match=r"1 of 4 verdicts are unparsed, more than max_failed_share 0.05.*'four'"):
        judged(RIGHT, share=0.05)


def test_a_check_may_be_a_function_of_a_module():
    function, taken = load_function("json:dumps")
    assert function is json.dumps and "response" in taken  # it takes any name


def test_a_check_that_cannot_be_called_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_package\n")
    with pytest.raises(InputError, match=r"cannot be loaded .ModuleNotFoundError: No module named 'no_such_package'"):
        load_function(f"{tmp_path}/broken.py:right")
    (tmp_path / "asking.py").write_text("def right(answer):\n    return True\n")
    with pytest.raises(InputError, match="it takes 'answer'; a check may take prompt, response, reference"):
        load_function(f"{tmp_path}/asking.py:right")


def test_the_script_checks_answers_to_a_set_with_modules_beside_the_check(tmp_path):
    (tmp_path / "sums_of_mine.py").write_text("def same(one, other):\n    return one.strip() == other\n")
    (tmp_path / "check.py").write_text(
        "from sums_of_mine import same\n\n\ndef right(response, reference):\n    return same(response, reference)\n"
    )
    write_yaml({"name": "mine", "kind": "check", "function": f"{tmp_path}/check.py:right"}, tmp_path / "judge.yaml")
    prompts = {"prompt_id": ["a", "b"], "prompt": ["1 + 1", "1 + 2"], "further": [[], []], "reference": [["2"], ["3"]]}
    write_parquet(pd.DataFrame(prompts | {"category": "sums", "row": "{}"}), tmp_path / "set.parquet")
    own = pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["1 + 1", "1 + 2"], "response": [" 2", "2"]})
    write_parquet(own, tmp_path / "own.parquet")
    files = {"spec": "judge.yaml", "prompts": "set.parquet", "responses": "own.parquet", "output": "verdicts.parquet"}
    named = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
    named += [
        "--baseline-responses",
        str(tmp_path / "set.parquet"),
        "--run",
        "dpr",
        "--seed",
        "1",
        "--baseline",
        "check",
    ]
    judge_responses.main(named)
    assert read_parquet(tmp_path / "verdicts.parquet", VERDICT_COLUMNS)["preference"].tolist() == [1, 0]
