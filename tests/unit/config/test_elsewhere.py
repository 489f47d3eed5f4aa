"""Runs whose responses were made elsewhere, and formats of exports, as a config has them."""

import pytest
from fixtures_config import refusal, settings, shown

from pipeline.config.elsewhere import answers_file, export_formats
from pipeline.config.resolved import resolved_config

FAIR = {"datasets": ["world", "fair-world"], "judge": "reward"}


@pytest.fixture
def file(tmp_path):
    """A file of responses."""
    path = tmp_path / "gpt-4o.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n')
    return str(path)


def gpt(responses, **more):
    return [{"name": "gpt-4o", "responses": responses, **more}]


def test_such_a_run_stands_behind_those_of_the_tasks_and_is_not_trained(file):
    made = settings(runs=gpt(file))
    assert [run.name for run in made.runs] == ["sft", "dpo", "dpr-g0.3-gamma0.3", "gpt-4o"]
    run = made.runs[-1]
    assert (run.method, run.trained, run.hyperparameters) == ("external", False, {})
    assert made.task_runs["gpt-4o"].called == "gpt-4o" and made.config["runs"][0]["allow_missing"] is False
    assert str(answers_file(made, "gpt-4o", "world")) == file and answers_file(made, "dpo", "world") is None


def test_it_is_a_run_of_the_datasets_whose_prompts_it_answers(file):
    made = settings(**FAIR, runs=gpt({"fair-world": file}))
    assert [(run.dataset, run.name) for run in made.runs if run.method == "external"] == [("fair-world", "gpt-4o")]


def test_it_may_be_the_baseline(file):
    assert settings(runs=gpt(file), baseline="gpt-4o").baseline_run("world", "W1M") == "gpt-4o"
    told = refusal(**FAIR, runs=gpt({"world": file}), baseline="gpt-4o")
    assert "baseline: gpt-4o" in told and "none to the prompts of fair-world" in told
    told = refusal(runs=gpt(file), baseline="gpt-4o", best_of_sweep=True)
    assert "with best_of_sweep" in told


@pytest.mark.parametrize("name", ["dpo", "chosen", "sft", "reference", "dpr-g0.3-gamma0.3"])
def test_a_name_that_is_taken_is_refused(name, file):
    assert f"runs[0].name: {name} is already the name" in refusal(runs=[{"name": name, "responses": file}])


def test_two_of_one_name_are_refused(file):
    assert "runs[1].name: gpt-4o is already" in refusal(runs=[*gpt(file), *gpt({"world": file})])


def test_a_file_that_is_not_there_is_named():
    assert "runs[0].responses: there is no file absent.jsonl" in refusal(runs=gpt("absent.jsonl"))
    assert "runs[0].responses.world: there is no file absent.jsonl" in refusal(runs=gpt({"world": "absent.jsonl"}))


def test_of_several_datasets_it_says_whose_prompts_it_answers(file):
    told = refusal(**FAIR, runs=gpt(file))
    assert "the prompts of world, fair-world" in told and shown(told) == {"runs": [{"responses": {"world": file}}]}
    told = refusal(runs=gpt({"worl": file}))
    assert "did you mean 'world'" in told and shown(told) == {"runs": [{"responses": {"world": file}}]}


def test_exports_are_json_lines_unless_the_config_says_otherwise():
    assert export_formats(settings(), "world") == ["json_lines"]
    assert export_formats(settings(exports={"world": "alpaca_eval"}), "world") == ["alpaca_eval"]
    both = settings(exports={"world": ["alpaca_eval", "arena_hard"]})
    assert export_formats(both, "world") == ["alpaca_eval", "arena_hard"]
    assert shown(refusal(exports={"wrld": "alpaca_eval"})) == {"exports": {"world": "alpaca_eval"}}
    assert "exports.world: it must be one of" in refusal(exports={"world": "alpaca"})


def test_the_whole_config_of_others_is_as_it_was(file):
    assert not {"runs", "exports"} & set(resolved_config(settings(exports={"world": "alpaca_eval"})))
    assert resolved_config(settings(runs=gpt(file)))["runs"] == gpt(file, allow_missing=False)
