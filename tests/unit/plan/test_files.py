"""Where the results of a config are, and what of a run, a reward model and a judge the rules must know."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from fixtures_config import settings

from pipeline.jobs.io import write_yaml
from pipeline.plan.files import Plan
from pipeline.plan.overoptimisation import kept_checkpoints, overoptimisation_table
from pipeline.plan.specs import specs
from pipeline.results.run_table import read_run_table

DPO, DPR = "dpo-beta0.1", "dpr-beta0.1-g0.3-gamma0.3"
RUNS = ["sft", DPO, "ddp-beta0.1-r0.4-rho0.2", "dpp-beta0.1-p0.3-pi0.2", DPR, "mix-r0.2-p0.2-g0.2"]
SMALL = Path(__file__).resolve().parents[2] / "data" / "small.yaml"
SPEC = SimpleNamespace(reward_spec="given.yaml")


def names(run="sft", **others):
    return SimpleNamespace(dataset="small", model="tiny", run=run, seed="1", **others)


def test_files_of_a_run_and_seed(small):
    plan = small()
    sft, dpo, *_ = plan.settings.runs
    assert plan.run_files(dpo, 1, "eval") == {
        "responses": "results/responses/small/tiny/dpo-beta0.1/seed1/eval.parquet",
        "scores": "results/scores/small/tiny/dpo-beta0.1/seed1/eval.parquet",
        "evaluation": "results/evaluations/small/tiny/dpo-beta0.1/seed1/eval.parquet",
        "verdicts": {"chosen": "results/verdicts/small/tiny/dpo-beta0.1/seed1/eval-vs-chosen.parquet"},
        "cost": "results/policies/small/tiny/dpo-beta0.1/seed1/cost.json",
        "metrics": "results/policies/small/tiny/dpo-beta0.1/seed1/metrics.parquet",
    }
    files = plan.run_files(sft, 2, "selection")
    assert set(files) == {"responses", "scores", "evaluation", "verdicts"}  # nobody trains it
    assert files["verdicts"] == {
        name: f"results/verdicts/small/tiny/sft/seed2/selection-vs-{name}.parquet" for name in ("chosen", DPO)
    }


def test_files_of_all_runs_by_kind(small):
    plan = small(seeds=[1, 2])
    places = [f"small/tiny/{run}/seed{seed}" for run in RUNS for seed in (1, 2)]
    assert plan.files("responses") == [f"results/responses/{place}/eval.parquet" for place in places]
    assert plan.files("scores", split="selection") == [f"results/scores/{place}/selection.parquet" for place in places]
    assert plan.files("cost") == [f"results/policies/{place}/cost.json" for place in places[2:]]
    verdicts = plan.files("verdicts")
    assert len(verdicts) == len(set(verdicts)) == 2 * (2 * 6 - 1)
    assert plan.files("cost", "verdicts") == plan.files("cost") + verdicts
    assert small(split="selection").files("scores")[0] == "results/scores/small/tiny/sft/seed1/selection.parquet"


@pytest.mark.parametrize("split", ["eval", "selection"])
def test_the_table_of_runs_is_the_one_that_scripts_read(small, tmp_path, split):
    plan = small(seeds=[1, 2])
    write_yaml(plan.run_table(split), tmp_path / "runs.yaml")
    table = read_run_table(tmp_path / "runs.yaml")
    assert (table.tag, table.split, table.baseline, table.seeds) == ("small", split, DPO, [1, 2])
    assert [run.run for run in table.runs] == RUNS and table.groups == [("small", "tiny", "short")]
    assert [run.baselines for run in table.runs[:3]] == [["chosen", DPO], ["chosen"], ["chosen", DPO]]
    kinds = ("responses", "scores", "evaluation", "metrics", "cost", "verdicts")
    assert sorted(table.paths(*kinds)) == sorted(plan.files(*kinds, split=split))
    assert table.runs[4].hyperparameters["gamma"] == 0.3


def test_the_run_sft_is_the_sft_model_itself(small):
    assert small().policy_folder(names("sft")) == "results/sft/small/tiny"
    assert small().policy_folder(names(DPO)) == "results/policies/small/tiny/dpo-beta0.1/seed1"


def test_a_reward_model_is_trained_or_from_elsewhere(small):
    plan = small()
    assert plan.reward_model_folder("small", "tiny") == "results/reward_models/small/tiny"
    assert plan.reward_model_path("small", "tiny") == "results/reward_models/small/tiny/model"
    assert plan.reward_start("small", "tiny") == "results/sft/small/tiny"
    assert plan.reward_start_path("small", "world") == "results/sft/small/W1M/model"
    assert plan.reward_model_folder("small", "eurus") is None
    assert plan.reward_model_path("small", "eurus") == "openbmb/Eurus-RM-7b"


def test_a_reward_model_of_another_dataset_is_trained_there_once(small):
    trained = {"train": {"model": "tiny", "dataset": "world", "share": {"part": 1, "of": 2}}}
    defined = yaml.safe_load(SMALL.read_text(encoding="utf-8"))["definitions"]
    plan = small(reward_model="other", definitions=defined | {"reward_models": {"other": trained}})
    assert plan.reward_model_folder("small", "other") == "results/reward_models/world/other"
    assert plan.reward_model_path("small", "other") == "results/reward_models/world/other/model"
    assert plan.bt_split("small", "eval") == "results/bt/small/other/eval.parquet"
    found = specs(plan, {})
    assert {"data/small", "data/world", "sft/small/tiny", "sft/world/tiny", "reward/other"} <= set(found)
    assert "reference/world/tiny" not in found and found["data/world"]()["source"] == "world"
    assert found["reward/other"]()["train"]["share"] == {"part": 1, "of": 2, "seed": 0}


def test_a_reward_model_may_start_from_the_model_itself(small):
    defined = yaml.safe_load(SMALL.read_text(encoding="utf-8"))["definitions"]
    defined["models"]["chat"] = {"path": "owner/chat"}
    defined["reward_models"] = {"own": {"train": {"model": "chat", "sft": False}}}
    plan = small(reward_model="own", definitions=defined)
    assert plan.reward_start("small", "own") is None and plan.reward_start_path("small", "own") == "owner/chat"


def test_rewards_label_rows_of_some_runs(small):
    plan = small()
    assert [plan.policy_reward(names(run)) for run in RUNS] == [None, None, None, None, "tiny", "tiny"]
    assert plan.reward_arguments("small", plan.policy_reward(names(DPO)), SimpleNamespace()) == ""
    assert plan.reward_arguments("small", plan.policy_reward(names(DPR)), SPEC) == (
        "--reward-spec given.yaml --reward-model results/reward_models/small/tiny/model"
    )
    assert small(reward_model="eurus").policy_reward(names(DPR)) == "eurus"


def test_a_judge_of_the_dataset_s_labels_takes_nothing(small):
    plan = small()
    assert plan.judge_of(names()) == plan.judge_kind(names()) == "gold"
    assert plan.judge_reward(names()) is None and plan.judge_arguments(names(), SimpleNamespace()) == ""


def test_a_judge_is_the_dataset_s_reward_model_or_its_own(small):
    plan = small(judge="reward")
    assert plan.judge_reward(names()) == "tiny"
    assert plan.judge_arguments(names(), SPEC) == plan.reward_arguments("small", "tiny", SPEC)
    own = small(mine={"kind": "reward", "reward_model": "deberta"})
    assert own.judge_reward(names()) == "deberta"
    assert own.judge_arguments(names(), SPEC) == (
        "--reward-spec given.yaml --reward-model OpenAssistant/reward-model-deberta-v3-base"
    )


def test_a_judge_that_is_asked_for_comes_before_the_dataset_s(small):
    plan = small()
    assert plan.judge_of(names(judge="reward")) == plan.judge_kind(names(judge="reward")) == "reward"
    assert plan.judge_arguments(names(judge="PM"), SimpleNamespace()) == (
        "--service config/judges/PM/judge.yaml --store results/judgements"
    )


def test_judges_that_cost_money_are_measured_where_that_is_wanted(small):
    assert small().measured_judges() == ["results/judge_quality/small/gold/eval.json"]
    assert small().measured_judges("csv") == ["results/judge_quality/small/gold/eval.csv"]
    assert small(judge_quality={"pairs": 0}).measured_judges() == []
    assert small(judge="PM").measured_judges() == []
    paid = small(judge="PM", judge_quality={"paid": True}, split="selection")
    assert paid.measured_judges() == ["results/judge_quality/small/PM/selection.json"]


def test_what_is_paid_for(small):
    assert small().paid_splits() == small(judge="reward").paid_splits() == []
    judged = {
        "dataset": "small",
        "runs": "results/specs/runs.yaml",
        "split": "results/data/small/eval.parquet",
        "spec": "results/specs/judge/PM.yaml",
        "service": "config/judges/PM/judge.yaml",
    }
    chosen = {"runs": "results/specs/selection.yaml", "split": "results/data/small/selection.parquet"}
    assert small(judge="PM").paid_splits() == [judged]
    assert small(judge="PM", best_of_sweep=True).paid_splits() == [judged, judged | chosen]


def test_scored_splits_and_their_calibration(small):
    plan = small(split="selection")
    assert plan.bt_splits() == [f"results/bt/small/tiny/{split}.parquet" for split in ("train", "selection")]
    assert plan.calibrations("small") == [f"results/calibration/small/tiny/{s}.json" for s in ("train", "selection")]
    assert small(reward_model="eurus").bt_split("small", "eval") == "results/bt/small/eurus/eval.parquet"


def test_what_only_some_configs_have(small):
    assert small().tracked_winrates() == small().selection_table() == small().label_file() == []
    assert small(human_labels="~/labels.csv").label_file() == [str(Path("~/labels.csv").expanduser())]
    plan = small(wandb=True, best_of_sweep=True)
    assert plan.tracked_winrates() == ["results/tracked.json"] and plan.selection_table() == ["results/selection.csv"]


def test_scripts_are_started_in_the_device_s_processes(small):
    assert small().launcher("ddp") == "python"
    assert small(device="a100x4").launcher("fsdp2") == (
        "accelerate launch --config_file config/accelerate/fsdp2.yaml --num_processes 4"
    )


def test_the_page_is_made_of_templates_style_and_scripts(small):
    found = small().page_files()
    folder = "scripts/pipeline/report"
    assert found == sorted(found) and all(path.startswith(f"{folder}/") for path in found)
    assert {f"{folder}/report.css", f"{folder}/templates/page.html.jinja", f"{folder}/scripts/main.js"} < set(found)
    assert {path.rsplit(".")[-1] for path in found} == {"css", "jinja", "js", "txt"}


def test_checkpoints_are_measured_where_the_config_keeps_them():
    plain, kept = Plan(settings()), Plan(settings(evaluate_checkpoints=4, note="Read this."))
    assert (
        kept_checkpoints(plain.settings) == overoptimisation_table(plain.settings) == plain.files("checkpoints") == []
    )
    table = plain.run_table("eval")
    assert "note" not in table and "checkpoints" not in table["runs"][0]["seeds"][1]
    assert kept_checkpoints(kept.settings)[1].endswith("seed{seed}/checkpoints4.json")
    assert kept.files("checkpoints")[1] == "results/checkpoints/world/W1M/dpo/seed1/eval-of4.parquet"
    assert len(kept.files("checkpoints")) == 3 and kept.run_table("eval")["note"] == "Read this."
    assert kept.settings.checkpoint_spec("W1M")["prompts"] == 128
