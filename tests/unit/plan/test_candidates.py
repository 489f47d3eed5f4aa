"""Runs that choose among several responses: what these are sampled from, which files there are, and what is not."""

from types import SimpleNamespace

import pytest

from pipeline.config.candidates import best_of_runs, describe_best_of
from pipeline.config.errors import ConfigError
from pipeline.plan.candidates import budget_candidates, candidates_file, trained_candidates
from pipeline.plan.pairs import Pairs
from pipeline.plan.specs import as_yaml, specs
from pipeline.plan.work import Place, work_of
from pipeline.publishing.plan import repositories

TASKS = [{"method": "sft"}, {"method": "dpo", "beta": [0.1]}]
BON, RFT = {"method": "bon", "n": 4}, {"method": "rft", "n": 4, "max_new_tokens": 24}
SHARED = "n4-temperature1-top_p1-max_new_tokens24"
PLACE = {"dataset": "small", "model": "tiny", "seed": 1}


@pytest.fixture
def planned(small):
    """A function from further tasks, and changed keys, to the plan."""
    return lambda *tasks, **changes: small(tasks=[*TASKS, *tasks], **changes)


def test_runs_that_choose_among_the_same_responses_share_them(planned):
    plan = planned(BON, {**BON, "missing_eos_penalty": 1.0}, RFT, {**RFT, "learning_rate": [1e-3, 1e-2]})
    runs = plan.settings.task_runs
    names = ["bon-n4", "bon-n4-missing_eos_penalty1", "rft-n4-max_new_tokens24"]
    assert list(runs)[2:5] == names and len(runs) == 6  # with the learning rate that policy has it is the same run
    found = specs(plan, {})
    assert [name for name in found if name.startswith("candidates/")] == [f"candidates/small/tiny/{SHARED}"]
    spec = found[f"candidates/small/tiny/{SHARED}"]()
    assert {key: spec[key] for key in ("dataset", "n", "reward_model", "max_length")} == {
        **{"dataset": "small", "n": 4, "reward_model": "tiny", "max_length": 128},
    }
    assert spec["decoding"] == {
        **{"do_sample": True, "temperature": 1, "top_p": 1, "max_new_tokens": 24, "backend": "transformers"},
    }
    assert "reward_model" not in found["policy/small/tiny/rft-n4-max_new_tokens24"]()  # the training asks none
    at = {name: SimpleNamespace(**PLACE, run=name) for name in runs}
    place = f"results/candidates/small/tiny/{SHARED}/seed1"
    assert candidates_file(plan, at[names[0]], "eval") == f"{place}/eval.parquet"
    assert trained_candidates(plan, at[names[2]]) == {"candidates": f"{place}/train.parquet"}
    assert trained_candidates(plan, at[names[0]]) == trained_candidates(plan, at["dpo-beta0.1"]) == {}


def test_other_sampling_is_another_name(planned):
    decodings = {"warm": {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 24, "backend": "vllm"}}
    plan = planned(BON, {"method": "bon"}, {"method": "rft", "backend": "server"}, decoding="warm", decodings=decodings)
    assert [name.split("/")[-1] for name in specs(plan, {}) if name.startswith("candidates/")] == [
        "n4-temperature0.7-top_p0.9-max_new_tokens24-backend_vllm",
        "n16-temperature0.7-top_p0.9-max_new_tokens24-backend_vllm",
        "n8-temperature1-top_p1-max_new_tokens256-backend_server",
    ]


def test_under_a_greedy_decoding_they_are_sampled_and_the_user_is_told(planned):
    plan = planned(BON, decoding=["short", "greedy"], decodings={"short": {"max_new_tokens": 24}})
    at = SimpleNamespace(**PLACE, run="bon-n4", further="/greedy")
    assert candidates_file(plan, at, "eval") == (
        "results/candidates/small/tiny/n4-temperature1-top_p1-max_new_tokens512/seed1/eval.parquet"
    )
    made = [make() for name, make in specs(plan, {}).items() if name.startswith("candidates/")]
    assert len(made) == 2 and all(spec["decoding"]["do_sample"] for spec in made)
    first, second = describe_best_of(plan.settings).splitlines()
    assert first.startswith("Runs without a policy of their own, bon-n4: they have no checkpoint to publish")
    assert second.startswith("Under the decoding greedy, which is greedy, their responses are chosen among sampled")
    assert len(describe_best_of(planned(BON).settings).splitlines()) == 1
    assert describe_best_of(planned(RFT).settings) == ""


def test_best_of_n_has_no_policy_to_measure(planned):
    plan = planned(BON, RFT, evaluate_checkpoints=2)
    _, _, bon, rft = plan.settings.runs
    files = plan.run_files(bon, 1, "eval")
    assert set(files) == {"responses", "scores", "verdicts"} and best_of_runs(plan.settings) == ["bon-n4"]
    assert {"evaluation", "checkpoints", "metrics", "cost"} <= set(plan.run_files(rft, 1, "eval"))
    for kind in ("evaluation", "checkpoints", "metrics", "cost"):
        assert not [path for path in plan.files(kind) if "bon" in path]
    assert plan.policy_folder(SimpleNamespace(**PLACE, run="bon-n4")) == "results/sft/small/tiny"
    rows = {row["run"]: row for row in plan.run_table("eval")["runs"]}
    assert rows["bon-n4"]["hyperparameters"] == {"candidates": 4}
    assert rows["rft-n4-max_new_tokens24"]["hyperparameters"]["candidates"] == 4
    assert specs(plan, {})["policy/small/tiny/bon-n4"]()["hyperparameters"] == {"n": 4}


def test_a_judge_that_chose_the_responses_is_no_stranger(planned):
    rows = planned(BON, RFT, judge="reward").run_table("eval")["runs"]
    assert [row.get("judge_shares", "") for row in rows] == ["", "", "reward_model", "reward_model"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": [*TASKS, {"method": "bon", "n": 1}]}, r"tasks\[2\]\.n: it must be a whole number at least 2"),
        ({"tasks": [*TASKS, {"method": "bon", "epochs": 2}]}, r"tasks\[2\]\.epochs: unknown key"),
        (
            {"tasks": [*TASKS, BON, {"method": "kto", "steps_like": "bon"}]},
            r"tasks\[3\]\.steps_like: bon-n4 is not trained, so it has neither steps nor seconds",
        ),
    ],
)
def test_what_best_of_n_cannot_have_is_refused(small, changes, message):
    with pytest.raises(ConfigError, match=message):
        small(**changes)


def test_there_is_nothing_of_it_to_publish(planned):
    keys = list(repositories(planned(BON, RFT, publish={"kinds": ["policy"]}).settings))
    assert keys == [f"models/small-small-tiny-{run}-seed1" for run in ("dpo-beta0.1", "rft-n4-max_new_tokens24")]
    with pytest.raises(ConfigError, match=r"publish\.runs\[0\]: bon-n4 trains nothing, so it has no checkpoint to pu"):
        repositories(planned(BON, publish={"runs": ["bon-n4"]}).settings)


def test_a_budget_is_measured_with_the_candidates_of_both_trainings(planned):
    plan = planned(RFT, {**RFT, "n": 2, "seconds_like": "rft-n4-max_new_tokens24"}, {**RFT, "budget": {"tokens": 1e6}})
    two, tokens = list(plan.settings.task_runs)[3:]
    own = SHARED.replace("n4", "n2")
    assert budget_candidates(plan, SimpleNamespace(**PLACE, run=two)) == {
        "candidates": f"results/candidates/small/tiny/{own}/seed1/train.parquet",
        "other_candidates": f"results/candidates/small/tiny/{SHARED}/seed1/train.parquet",
    }
    assert list(budget_candidates(plan, SimpleNamespace(**PLACE, run=tokens))) == ["candidates"]
    assert budget_candidates(plan, SimpleNamespace(**PLACE, run="dpo-beta0.1")) == {}


def test_without_such_tasks_nothing_is_another(planned):
    names = {name: as_yaml(make()) for name, make in specs(planned(), {}).items()}
    more = {name: as_yaml(make()) for name, make in specs(planned(BON, RFT), {}).items()}
    further = set(more) - set(names)
    assert further == {f"candidates/small/tiny/{SHARED}", "policy/small/tiny/bon-n4"} | {
        "policy/small/tiny/rft-n4-max_new_tokens24"
    }
    assert {name for name in names if names[name] != more[name]} == {"config", "runs", "selection"}


def test_the_plan_knows_what_they_take(planned):
    plan = planned(BON, RFT)
    entries, made = plan.settings.entries, specs(plan, {})
    place = Place(entries["models"], entries["reward_models"], {})
    pairs = Pairs({"train": 100, "eval": 20}, 10, 20)
    spec = made[f"candidates/small/tiny/{SHARED}"]()
    once = work_of("decode_responses", spec, pairs, "train", place).operations
    candidates = work_of("sample_candidates", spec, pairs, "train", place)
    assert candidates.operations > 4 * once and candidates.written > 0
    dpo, rft = (made[f"policy/small/tiny/{name}"]() for name in ("dpo-beta0.1", "rft-n4-max_new_tokens24"))
    trained = [work_of("train_policy", run, pairs, "train", place).operations for run in (dpo, rft)]
    assert trained[0] == 2 * trained[1]  # of a pair one response
