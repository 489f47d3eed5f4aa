"""Where responses that were made elsewhere are, and under which names responses go elsewhere."""

from pathlib import Path

import pytest
import yaml

from pipeline.jobs.io import InputError, write_yaml
from pipeline.plan.elsewhere import export_files, exports
from pipeline.results.run_table import read_run_table

SMALL = Path(__file__).resolve().parents[2] / "data" / "small.yaml"
DPO = "dpo-beta0.1"
ELSEWHERE = [{"name": "gpt-4o", "responses": "gpt-4o.jsonl"}]


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """A file of responses in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt-4o.jsonl").write_text("{}\n")


def test_it_has_responses_scores_and_verdicts_with_every_seed_and_nothing_of_a_training(small):
    plan = small(runs=ELSEWHERE, seeds=[1, 2], evaluate_checkpoints=2)
    run = plan.settings.runs[-1]
    files = plan.run_files(run, 2, "eval")
    assert set(files) == {"responses", "scores", "verdicts"} and set(files["verdicts"]) == {"chosen", DPO}
    assert files["responses"] == "results/responses/small/tiny/gpt-4o/seed2/eval.parquet"
    assert not any("gpt-4o" in path for path in plan.files("cost", "metrics", "evaluation", "checkpoints"))


def test_it_is_compared_under_each_decoding(small, tmp_path):
    plan = small(runs=ELSEWHERE, decoding=["short", "greedy"])
    write_yaml(plan.run_table("eval"), tmp_path / "runs.yaml")
    table = read_run_table(tmp_path / "runs.yaml")
    found = [run for run in table.runs if run.method == "external"]
    assert [run.decoding for run in found] == ["short", "greedy"] and {run.called for run in found} == {"gpt-4o"}


def test_the_selection_split_is_not_asked_of_it(small):
    plan = small(runs=ELSEWHERE, best_of_sweep=True)
    assert "gpt-4o" not in [row["run"] for row in plan.run_table("selection")["runs"]]
    assert not any("gpt-4o" in path for path in plan.files("responses", "verdicts", split="selection"))
    chosen_by = small(runs=ELSEWHERE, split="selection")
    assert any("gpt-4o" in path for path in chosen_by.files("responses"))


def test_others_have_the_files_that_they_had(small):
    with_it, without = small(runs=ELSEWHERE), small()
    for kind in ("responses", "verdicts", "evaluation", "cost"):
        assert [path for path in with_it.files(kind) if "gpt-4o" not in path] == without.files(kind)


def test_exports_have_the_names_of_runs_and_what_tells_them_apart(small):
    plan = small(runs=ELSEWHERE, seeds=[1, 2], decoding=["short", "greedy"])
    found = exports(plan)
    assert {prompts for prompts, _ in found} == {"small"}
    of_dpo = [name for _, name in found if name.startswith(DPO)]
    assert of_dpo == [DPO, f"{DPO}-seed2", f"{DPO}-greedy", f"{DPO}-seed2-greedy"]
    assert found["small", f"{DPO}-seed2-greedy"].responses.endswith(f"tiny/{DPO}/seed2/greedy/eval.parquet")
    assert [name for _, name in found if "gpt" in name] == ["gpt-4o"]
    chosen = found["small", "chosen"]
    assert (chosen.responses, chosen.column) == ("results/data/small/eval.parquet", "chosen")


def test_two_exports_of_one_name_are_refused(small):
    with pytest.raises(InputError, match=r"would be named dpo-beta0\.1-seed2"):
        exports(small(runs=[{"name": f"{DPO}-seed2", "responses": "gpt-4o.jsonl"}], seeds=[1, 2]))


def test_each_format_has_the_file_that_its_project_looks_for(small):
    assert "results/exports/small/dpo-beta0.1/responses.jsonl" in export_files(small())
    files = export_files(small(exports={"small": ["alpaca_eval", "arena_hard"]}))
    assert "results/exports/small/dpo-beta0.1/model_outputs.json" in files
    assert "results/exports/small/model_answer/dpo-beta0.1.jsonl" in files
    assert not any(path.endswith("responses.jsonl") for path in files)


def with_set(small, name, **changes):
    """The small config with a set of prompts beside it."""
    definitions = yaml.safe_load(SMALL.read_text(encoding="utf-8"))["definitions"]
    entry = {"path": "prompts.jsonl", "judge": "gold", "columns": {"reference": "answer"}}
    return small(prompts=[name], definitions=definitions | {"prompts": {name: entry}}, **changes)


def test_it_answers_the_sets_of_prompts_that_it_has_a_file_for(small):
    plan = with_set(small, "mine", runs=[{"name": "gpt-4o", "responses": {"mine": "gpt-4o.jsonl"}}])
    assert "gpt-4o" in [run.name for run in plan.runs_on("mine")]
    assert "gpt-4o" not in [run.name for run in plan.runs_on("eval")]
    [row] = [row for row in plan.run_table("mine")["runs"] if row["run"] == "gpt-4o"]
    assert row["baselines"] == ["reference", DPO]
    assert row["seeds"][1]["responses"] == "results/responses/small/tiny/gpt-4o/seed1/prompts/mine.parquet"
    assert not any("gpt-4o" in path for path in plan.files("responses"))
    assert ("mine", "gpt-4o") in exports(plan) and ("small", "gpt-4o") not in exports(plan)


def test_sets_are_exported_in_the_formats_of_their_names(small):
    files = export_files(with_set(small, "alpaca_eval", decoding=["short", "greedy"]))
    of_set = [path for path in files if "/alpaca_eval/" in path]
    assert "results/exports/alpaca_eval/dpo-beta0.1/model_outputs.json" in of_set
    assert "results/exports/alpaca_eval/reference/model_outputs.json" in of_set
    assert all(path.endswith("model_outputs.json") and "greedy" not in path for path in of_set)
    assert "results/exports/small/chosen/responses.jsonl" in files
    files = export_files(with_set(small, "mine"))
    assert "results/exports/mine/reference/responses.jsonl" in files
