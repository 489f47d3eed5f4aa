"""The entry scripts one after the other on a tiny world: files, columns, changed weights, the same bytes twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import disable_progress_bars
from fixtures_chain import CONFIG, DEVICE, DPO, DPR, arguments_of, call, chain
from fixtures_scripts import SCRIPTS, fresh_modules
from safetensors.torch import load_file
from transformers.utils import logging

import count_steps
import generate_responses
import score_bt
import train_policy
from pipeline.columns.cost import COST_KEYS, COST_TOKENS
from pipeline.config.candidates import candidates_spec, candidates_specs
from pipeline.config.extents import budget_spec
from pipeline.config.settings import Settings
from pipeline.data.world import gold_score
from pipeline.jobs.io import InputError, read_json, read_parquet, read_yaml, write_json, write_parquet, write_yaml
from pipeline.jobs.provenance import SILENT, _imported_files, _imports

CHECKPOINT = {"model", "manifest.json", "metrics.parquet", "cost.json", "provenance.json"}


@pytest.fixture(scope="module")
def quiet():
    disable_progress_bars()
    logging.disable_progress_bar()


@pytest.fixture(scope="module")
def used():
    """Files of scripts/ that each script had imported when it ended."""
    return {}


@pytest.fixture(scope="module")
def at(tmp_path_factory, used, quiet):
    """Places of the first run of the chain."""

    def call_anew(script, device=DEVICE, **options):
        with fresh_modules() as imported:
            call(script, device, **options)
            used.setdefault(script, set()).update(imported())

    return chain(tmp_path_factory.mktemp("chain"), call_anew)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_weights_changed(before: Path, after: Path) -> None:
    one, other = weights(before), weights(after)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.isfinite(other[name]).all() and not torch.equal(value, other[name]), name


def test_every_training_leaves_its_records(at):
    for folder, steps in ((at.sft, 6), (at.reward, 3), (at.dpo, 3), (at.dpr, 3)):
        assert set(os.listdir(folder)) == CHECKPOINT
        files = {path.name for path in (folder / "model").iterdir()}
        assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= files
        assert not [name for name in files if name.endswith((".bin", ".pt", ".pth"))]
        assert set(read_json(folder / "manifest.json")["files"]) == files
        cost = read_json(folder / "cost.json")
        batch = {"batch"} if folder == at.reward else set()  # which does not know that its model is from scratch
        assert set(cost) == {*COST_KEYS, *COST_TOKENS, "machine"} | batch
        assert cost["trained_tokens"] > 0 and (cost["sampled_tokens"] > 0) == (folder == at.dpr)
        assert cost["steps"] == steps and cost["seconds"] > 0 and cost["peak_memory_mib"] > 10
        assert (cost["rollout_seconds"] > 0) == (folder == at.dpr) and cost["device"] == "cpu"
        curve = read_parquet(folder / "metrics.parquet")
        assert curve.dtypes.astype(str).to_dict() == {"step": "int64", "metric": "str", "value": "float64"}
        assert curve.loc[curve["metric"] == "loss", "step"].max() == steps  # the last step is logged too
        assert np.isfinite(curve["value"]).all()
        record = read_json(folder / "provenance.json")
        assert list(record["inputs"])[1] == str(at.train) and record["device"]["name"] == "cpu"


def test_the_curves_have_the_trainers_metrics(at):
    metrics = {name: set(read_parquet(getattr(at, name) / "metrics.parquet")["metric"]) for name in ("dpo", "dpr")}
    assert {"loss", "learning_rate", "rewards/accuracies", "rewards/margins", "logps/chosen"} <= metrics["dpo"]
    assert {"sail/rows_dpr", "sail/reward", "sail/age"} <= metrics["dpr"]
    assert not [name for name in metrics["dpo"] if name.startswith("sail/") or "runtime" in name]


def test_weights_changed(at):
    for run in (at.dpo, at.dpr):
        assert_weights_changed(at.sft_model, run / "model")
    dpo, dpr = weights(at.dpo / "model"), weights(at.dpr / "model")
    assert not all(torch.equal(dpo[name], dpr[name]) for name in dpo)
    trunk, reward = weights(at.sft_model), weights(at.reward_model)
    assert reward["score_head.weight"].shape == (1, 16)
    assert not torch.equal(trunk["model.layers.0.mlp.up_proj.weight"], reward["model.layers.0.mlp.up_proj.weight"])


def test_references_are_those_of_the_split(at):
    for split, path in at.reference.items():
        frame, data = read_parquet(path), read_parquet(at.data / f"{split}.parquet")
        assert list(frame.columns) == ["row", "prompt_id", "ref_chosen_logps", "ref_rejected_logps"]
        assert frame["prompt_id"].tolist() == data["prompt_id"].tolist()
        assert frame["row"].tolist() == list(range(len(data))) and (frame["ref_chosen_logps"] < 0).all()


def test_responses_and_evaluations_have_their_columns(at):
    data = read_parquet(at.eval)
    for run, path in at.responses.items():
        responses, evaluation = read_parquet(path), read_parquet(at.evaluations[run])
        assert list(responses.columns) == [
            *("prompt_id", "prompt", "response", "response_ids", "response_tokens", "finished"),
        ]
        assert responses["prompt_id"].tolist() == data["prompt_id"].tolist() == evaluation["prompt_id"].tolist()
        assert responses["prompt"].tolist() == data["prompt"].tolist()
        assert responses["response_tokens"].between(1, 8).all()
        logps = [column for column in evaluation if column.endswith("logps")]
        assert len(logps) == 6 and evaluation[logps].dtypes.eq("float64").all() and (evaluation[logps] < 0).all(None)
        assert evaluation["response_tokens"].tolist() == responses["response_tokens"].tolist()
    sft, dpr = (read_parquet(at.evaluations[run]) for run in ("sft", "dpr"))
    assert np.allclose(sft["chosen_logps"], sft["ref_chosen_logps"], atol=1e-4)
    assert np.allclose(sft["response_logps"], sft["ref_response_logps"], atol=1e-4)
    assert not np.allclose(dpr["chosen_logps"], dpr["ref_chosen_logps"], atol=1e-2)
    assert not np.allclose(dpr["response_logps"], dpr["ref_response_logps"], atol=1e-2)


def test_responses_scored_in_one_call_are_scored_as_alone(at, tmp_path):
    together = {run: tmp_path / f"{run}.parquet" for run in at.responses}
    options = {"spec": at.specs / "reward.yaml", "reward_model": at.reward_model}
    call("score_responses", responses=[*at.responses.values()], output=[*together.values()], **options)
    assert together["dpr"].read_bytes() == at.scores["dpr"].read_bytes()
    assert (
        read_parquet(together["sft"])["response_score"].tolist()
        != read_parquet(together["dpr"])["response_score"].tolist()
    )
    with pytest.raises(SystemExit):
        call("score_responses", responses=[*at.responses.values()], output=[tmp_path / "one.parquet"], **options)


def test_scores_and_verdicts_have_their_columns(at):
    responses, scores = read_parquet(at.responses["dpr"]), read_parquet(at.scores["dpr"])
    assert list(scores.columns) == ["prompt_id", "response_score"] and scores["response_score"].dtype == "float64"
    assert scores["prompt_id"].tolist() == responses["prompt_id"].tolist()
    assert scores["response_score"].nunique() > 3
    for baseline, texts in (("chosen", read_parquet(at.eval)["chosen"]), ("sft", None)):
        texts = read_parquet(at.responses["sft"])["response"] if texts is None else texts
        verdicts = read_parquet(at.verdicts[baseline])
        assert verdicts["len_baseline"].tolist() == texts.map(len).tolist()
        own = [gold_score(row.prompt, row.response) for row in responses.itertuples()]
        other = [gold_score(prompt, text) for prompt, text in zip(responses["prompt"], texts, strict=True)]
        assert verdicts["score_run"].tolist() == own and verdicts["score_baseline"].tolist() == other
        assert verdicts["preference"].tolist() == [(a > b) + 0.5 * (a == b) for a, b in zip(own, other, strict=True)]


def test_every_split_is_scored(at):
    tables = [name for name in sorted(os.listdir(at.bt)) if name.endswith(".parquet")]
    assert tables == ["eval.parquet", "selection.parquet", "train.parquet"]
    for name in tables:
        data, scored = read_parquet(at.data / name), read_parquet(at.bt / name)
        pd.testing.assert_frame_equal(scored[list(data.columns)], data)
        assert list(scored.columns) == [*data.columns, "chosen_score", "rejected_score", "bt_prob"]
        margin = scored["chosen_score"] - scored["rejected_score"]
        assert np.allclose(scored["bt_prob"], 1 / (1 + np.exp(-margin)), atol=1e-12, rtol=0)


def test_one_split_is_scored_the_same_below_a_tag(at, tmp_path):
    arguments = [*at.score_bt, "--split", "eval", "--tag", "mine", "--output", str(tmp_path), *DEVICE]
    score_bt.main([*arguments, "--per_device_evalreward_batch_size", "5"])
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet")] == ["mine/eval.parquet"]
    one, all_splits = read_parquet(tmp_path / "mine" / "eval.parquet"), read_parquet(at.bt / "eval.parquet")
    pd.testing.assert_frame_equal(one, all_splits, rtol=0, atol=1e-5)


def test_without_a_spec_a_trained_reward_model_is_scored_in_the_format_that_it_was_trained_on(at, tmp_path):
    arguments = ["--dataset", str(at.data), "--score_model_id", str(at.reward_model), "--split", "eval"]
    score_bt.main([*arguments, "--output", str(tmp_path), *DEVICE])
    assert (tmp_path / "eval.parquet").read_bytes() == (at.bt / "eval.parquet").read_bytes()


def test_a_split_that_is_not_there_is_refused_with_those_that_are(at, tmp_path):
    with pytest.raises(InputError, match=r"no split 'validation'; the files in it name eval, selection, train$"):
        score_bt.main([*at.score_bt, "--split", "validation", "--output", str(tmp_path / "bt"), *DEVICE])
    assert not (tmp_path / "bt").exists()


def test_the_same_seed_gives_the_same_bytes(at, tmp_path):
    again = chain(tmp_path / "again")
    files = {path.relative_to(at.root) for path in at.root.rglob("*") if path.is_file()}
    assert files == {path.relative_to(again.root) for path in again.root.rglob("*") if path.is_file()}
    measured = {file for file in files if file.name.endswith(("cost.json", "provenance.json"))}
    assert len([file for file in files if file.suffix in (".safetensors", ".parquet")]) == 23
    for file in sorted(files - measured):
        assert (at.root / file).read_bytes() == (again.root / file).read_bytes(), file


def test_another_seed_gives_other_weights_and_responses(at, tmp_path):
    policy = {"data": at.train, "reference": at.reference["train"], "model": at.sft_model}
    call("train_policy", spec=at.specs / f"{DPO}.yaml", seed=2, output_dir=tmp_path / "dpo", **policy)
    assert_weights_changed(at.dpo / "model", tmp_path / "dpo" / "model")
    spec = read_yaml(at.specs / "generation.yaml")
    assert spec["decoding"]["do_sample"]
    generation = {"spec": at.specs / "generation.yaml", "data": at.eval, "reference": at.reference["eval"]}
    generation |= {"responses": tmp_path / "r.parquet", "evaluation": tmp_path / "e.parquet"}
    call("generate_responses", model=at.sft_model, reference_model=at.sft_model, seed=2, **generation)
    responses = read_parquet(tmp_path / "r.parquet")["response"].tolist()
    assert responses != read_parquet(at.responses["sft"])["response"].tolist()


def test_a_budget_becomes_steps_by_what_a_step_once_took(at, tmp_path):
    tasks = [*CONFIG["tasks"], {"method": "dpo", "seconds_like": "dpr"}]
    settings = Settings.from_config(CONFIG | {"tasks": tasks, "baseline": DPO})
    run = "dpo-seconds_like_dpr"
    write_yaml(budget_spec(settings, "tiny", "tiny", run), tmp_path / "budget.yaml")
    write_yaml(settings.policy_spec("tiny", "tiny", run), tmp_path / "policy.yaml")
    data = {"data": at.train, "reference": at.reference["train"], "model": at.sft_model, "seed": 1}
    reward = {"reward_spec": at.specs / "reward.yaml", "reward_model": at.reward_model}
    places = {"speeds": tmp_path / "speeds", "output": tmp_path / "steps.json"}
    call("count_steps", spec=tmp_path / "budget.yaml", **data, **reward, **places)
    measured = {path.name.split("-")[0]: path for path in (tmp_path / "speeds/tiny/tiny").iterdir()}
    speeds = {name: read_json(path) for name, path in measured.items()}
    seconds = 3 * speeds["dpr"]["seconds_per_step"] / speeds["dpo"]["seconds_per_step"]
    assert read_json(tmp_path / "steps.json") == {"steps": max(round(seconds), 1)}
    # What is kept is read again, whatever the clock says now.
    for name, value in (("dpo", 0.5), ("dpr", 1.0)):
        write_json(speeds[name] | {"seconds_per_step": value}, measured[name])
    call("count_steps", spec=tmp_path / "budget.yaml", **data, **reward, **places)
    assert read_json(tmp_path / "steps.json") == {"steps": 6}
    # It was measured beside that run: the speed of a comparison with another is another.
    spec = read_yaml(tmp_path / "budget.yaml")
    spec["other"]["hyperparameters"]["rollout_prompts"] = 2
    write_yaml(spec, tmp_path / "beside.yaml")
    call("count_steps", spec=tmp_path / "beside.yaml", **data, **reward, **places | {"output": tmp_path / "other.json"})
    names = [path.name.split("-")[0] for path in (tmp_path / "speeds/tiny/tiny").iterdir()]
    assert sorted(names) == ["dpo", "dpo", "dpr", "dpr"]
    write_yaml(read_yaml(reward["reward_spec"]) | {"name": "another"}, tmp_path / "another.yaml")
    reward["reward_spec"] = tmp_path / "another.yaml"
    call("count_steps", spec=tmp_path / "budget.yaml", **data, **reward, **places | {"output": tmp_path / "new.json"})
    assert len(list((tmp_path / "speeds/tiny/tiny").iterdir())) == 6  # DPO asks no reward model
    call("train_policy", spec=tmp_path / "policy.yaml", steps=places["output"], output_dir=tmp_path / "dpo", **data)
    assert read_json(tmp_path / "dpo" / "cost.json")["steps"] == 6


def test_a_budget_of_a_run_with_unlabelled_rows_is_measured_with_them(at, tmp_path):
    tasks = [*CONFIG["tasks"], {"method": "ddp", "r": 0.5, "budget": {"tokens": 500}}]
    settings = Settings.from_config(CONFIG | {"tasks": tasks, "baseline": DPO})
    spec = budget_spec(settings, "tiny", "tiny", list(settings.task_runs)[-1])
    write_yaml(spec | {"run": spec["run"] | {"unlabelled": True}}, tmp_path / "budget.yaml")
    given = {"spec": tmp_path / "budget.yaml", "data": at.train, "reference": at.reference["train"], "seed": 1}
    given |= {"model": at.sft_model, "speeds": tmp_path / "speeds", "output": tmp_path / "steps.json"}
    with pytest.raises(InputError, match="unlabelled needs --unlabelled and --unlabelled-reference"):
        count_steps.main([*arguments_of(given), *DEVICE])
    call("count_steps", unlabelled=at.eval, unlabelled_reference=at.reference["eval"], **given)
    assert read_json(tmp_path / "steps.json")["steps"] >= 1
    call("count_steps", unlabelled=at.train, unlabelled_reference=at.reference["train"], **given)
    assert len(list((tmp_path / "speeds/tiny/tiny").iterdir())) == 2  # other rows, measured anew


def test_rejection_sampling_is_trained_on_the_best_of_its_candidates(at, tmp_path):
    tasks = [*CONFIG["tasks"], {"method": "rft", "n": 3, "max_new_tokens": 4, "budget": {"tokens": 4000}}]
    settings = Settings.from_config(CONFIG | {"tasks": tasks, "baseline": DPO})
    run, [name] = list(settings.task_runs)[-1], candidates_specs(settings)
    write_yaml(candidates_spec(settings, "tiny", "tiny", name), tmp_path / "candidates.yaml")
    write_yaml(budget_spec(settings, "tiny", "tiny", run), tmp_path / "budget.yaml")
    write_yaml(settings.policy_spec("tiny", "tiny", run), tmp_path / "policy.yaml")
    start, reward = {"data": at.train, "model": at.sft_model, "seed": 1}, {"reward_spec": at.specs / "reward.yaml"}
    several, reference = tmp_path / "train.parquet", {"reference": at.reference["train"]}
    reward |= {"reward_model": at.reward_model}
    call("sample_candidates", spec=tmp_path / "candidates.yaml", output=several, **start, **reward)
    given = {**start, **reference, "candidates": several}
    places = {"speeds": tmp_path / "speeds", "output": tmp_path / "steps.json"}
    call("count_steps", spec=tmp_path / "budget.yaml", **given, **places)
    [path] = (tmp_path / "speeds/tiny/tiny").iterdir()
    speed, sampled = read_json(path), int(read_parquet(several)["response_tokens"].sum())
    assert speed["tokens_before"] == sampled and speed["seconds_before"] > 0
    steps = round((4000 - sampled) / speed["tokens_per_step"])
    assert read_json(places["output"]) == {"steps": steps}
    call("train_policy", spec=tmp_path / "policy.yaml", steps=places["output"], output_dir=tmp_path / "rft", **given)
    cost = read_json(tmp_path / "rft" / "cost.json")
    assert cost["steps"] == steps and cost["rollout_seconds"] == speed["seconds_before"]
    assert_weights_changed(at.sft_model, tmp_path / "rft" / "model")
    with pytest.raises(InputError, match="rft is trained on the best of several responses: give --candidates"):
        options = {**start, **reference, "steps": places["output"], "output_dir": tmp_path / "none"}
        train_policy.main([*arguments_of({"spec": tmp_path / "policy.yaml", **options}), *DEVICE])


def test_a_further_decoding_is_generated_as_the_first_one(at, tmp_path):
    spec = read_yaml(at.specs / "generation.yaml")
    greedy = spec | {"decoding": spec["decoding"] | {"name": "greedy", "do_sample": False}}
    found = {}
    for name, content in (("same", spec), ("greedy", greedy)):
        write_yaml(content, tmp_path / f"{name}.yaml")
        options = {"spec": tmp_path / f"{name}.yaml", "data": at.eval, "model": at.sft_model, "seed": 1}
        call("decode_responses", responses=tmp_path / f"{name}.parquet", **options)
        found[name] = (tmp_path / f"{name}.parquet").read_bytes()
        record = read_json(tmp_path / f"{name}.provenance.json")
        assert record["spec"]["decoding"] == content["decoding"] and len(record["inputs"]) == 3
    assert found["same"] == at.responses["sft"].read_bytes() and found["greedy"] != found["same"]


def test_rewards_need_a_reward_model(at, tmp_path):
    options = {"spec": at.specs / f"{DPR}.yaml", "seed": 1, "data": at.train, "model": at.sft_model}
    options |= {"reference": at.reference["train"], "output_dir": tmp_path / "policy"}
    with pytest.raises(InputError, match="it needs a reward model; give --reward-model and --reward-spec"):
        train_policy.main([*arguments_of(options), *DEVICE])
    assert not (tmp_path / "policy").exists()


def test_a_reference_of_other_data_is_refused(at, tmp_path):
    options = {"spec": at.specs / f"{DPO}.yaml", "seed": 1, "data": at.eval, "model": at.sft_model}
    options |= {"reference": at.reference["train"], "output_dir": tmp_path / "policy"}
    with pytest.raises(InputError, match="the reference has row 43, the data only 12 rows"):
        train_policy.main([*arguments_of(options), *DEVICE])


def test_a_folder_without_a_checkpoint_is_refused(at, tmp_path):
    options = {"spec": at.specs / "generation.yaml", "data": at.eval, "reference": at.reference["eval"]}
    options |= {"model": tmp_path, "reference_model": at.sft_model, "seed": 1}
    options |= {"responses": tmp_path / "r.parquet", "evaluation": tmp_path / "e.parquet"}
    with pytest.raises(InputError, match=f"{tmp_path}: neither config.json nor adapter_config.json"):
        generate_responses.main([*arguments_of(options), *DEVICE])


def test_missing_columns_are_named_before_anything_is_loaded(at, tmp_path):
    write_parquet(read_parquet(at.train).drop(columns="chosen"), tmp_path / "train.parquet")
    options = {"spec": at.specs / f"{DPO}.yaml", "seed": 1, "data": tmp_path / "train.parquet", "model": "no/model"}
    options |= {"reference": at.reference["train"], "output_dir": tmp_path / "policy"}
    with pytest.raises(InputError, match=r"train\.parquet: no column 'chosen'"):
        train_policy.main([*arguments_of(options), *DEVICE])


def test_fingerprints_cover_what_ran(at, used):
    assert len(used) == 9
    # What parts and keys are called, by which entries of devices are read (a device makes nothing stale), and what
    # modules that only say or watch import.
    described = [*SCRIPTS.glob("pipeline/*/*/description.py"), *SCRIPTS.glob("pipeline/config/schemas/*.py")]
    naming = {file for path in described for file in _imported_files(path)}
    naming |= {file for module in SILENT for file in _imports(SCRIPTS / "pipeline" / f"{module}.py")}
    naming = {file.relative_to(SCRIPTS).as_posix() for file in naming}
    for script, files in used.items():
        known = {path.relative_to(SCRIPTS).as_posix() for path in _imported_files(SCRIPTS / f"{script}.py")}
        files -= {f"pipeline/{module}.py" for module in SILENT}
        assert f"{script}.py" in files and files <= known | naming, script
    assert {"sail/objective.py", "sail/trainer.py", "pipeline/rewards/scorer.py"} <= used["train_policy"]


# scripts that need no neural network, in a process of their own


WITHOUT_TORCH = """
import json, sys
from fixtures_results import build_results, pair_scores
from pathlib import Path
import compare_costs, compare_scores, compute_cost, compute_winrate, judge_responses, measure_calibration, plot_figures
import prepare_data, render_report
root = Path(sys.argv[1])
heavy, imported = {"torch", "transformers", "datasets", "trl", "peft", "accelerate", "sail"}, {}
def run(script, *arguments):
    script.main([str(argument) for argument in arguments])
    imported[script.__name__] = sorted(heavy & set(sys.modules))
run(prepare_data, "--spec", root / "specs/data.yaml", "--output-dir", root / "again")
run(judge_responses, "--spec", root / "specs/judge.yaml", "--responses", root / "dpr-responses.parquet", "--run", "r",
    "--seed", "1", "--baseline", "chosen", "--baseline-responses", root / "again/eval.parquet",
    "--output", root / "again/verdicts.parquet")
out = root / "report"
table = build_results(out, seeds=(1,), prompts=6)
run(compute_winrate, "--runs", table, "--output", out / "winrate.csv", "--resamples", "20")
run(compute_cost, "--runs", table, "--output", out / "cost.csv")
run(plot_figures, "--runs", table, "--winrate", out / "winrate.csv", "--cost", out / "cost.csv",
    "--output-dir", out / "figures")
run(compare_costs, "--runs", table, "--winrate", out / "winrate.csv", "--resamples", "20",
    "--output", out / "costs.csv", "--figure", out / "costs.svg")
scored = pair_scores(out / "scored.parquet", 6)
run(compare_scores, "--runs", table, "--pairs", f"world={scored}", "--output", out / "scores.csv", "--resamples", "20")
run(measure_calibration, "--scored", scored, "--dataset", "world", "--reward-model", "rm", "--split", "eval",
    "--output", out / "eval.json", "--figures", out / "eval", "--resamples", "20")
run(render_report, "--runs", table, "--winrate", out / "winrate.csv", "--cost", out / "cost.csv",
    "--pairs", f"world={scored}", "--cards", root / "again/card.json", "--scores", out / "scores.csv",
    "--calibration", out / "eval.json", "--output", out / "report.html")
print(json.dumps(imported))
"""


def test_scripts_without_a_network_import_no_torch(at, tmp_path):
    for name in ("specs", "dpr-responses.parquet"):
        (tmp_path / name).symlink_to(at.root / name)
    places = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent / "tests")])
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)]
    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": places}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    imported = json.loads(ended.stdout.splitlines()[-1])
    assert len(imported) == 9 and not any(imported.values()), imported
    assert (tmp_path / "again" / "eval.parquet").read_bytes() == at.eval.read_bytes()
