"""The pipeline's own scripts in two processes with gloo on a CPU, against the same jobs in one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from workflow.snakemake_copy import Job

pytestmark = pytest.mark.slow

PLACE = "small/tiny"
START = "accelerate launch --config_file config/accelerate/{}.yaml --num_processes {}"
LAUNCH = START.format("ddp", 2)
TRAINED = ("manifest.json", "metrics.parquet", "cost.json", "provenance.json")


def run(workflow, script, *arguments, processes=2, strategy="ddp", device="cpu"):
    """An entry script in the workflow's folder, started as its rule starts it; what it printed."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", *START.format(strategy, processes).split()[2:]]
    start = launch if processes > 1 or strategy != "ddp" else [sys.executable]
    command = [*start, f"scripts/{script}.py", *map(str, arguments), "--device", device]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [*command, "--threads", "1"],
        cwd=workflow.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def assert_same_training(one: Path, two: Path, processes: int = 2):
    """The weights and the learning curve of two folders are equal but for rounding; all else is there as well."""
    for name in TRAINED:
        assert (two / name).is_file()
    weights = [load_file(folder / "model" / "model.safetensors") for folder in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=2e-4, msg=name)
    curves = [
        pd.read_parquet(folder / "metrics.parquet").set_index(["step", "metric"])["value"] for folder in (one, two)
    ]
    losses = [curve.xs("loss", level="metric") for curve in curves]
    assert losses[0].index.equals(losses[1].index)
    assert losses[1].to_numpy() == pytest.approx(losses[0].to_numpy(), abs=2e-3)
    cost = json.loads((two / "cost.json").read_text())
    assert cost["steps"] == json.loads((one / "cost.json").read_text())["steps"]
    assert cost["machine"]["processes"] == processes and cost["machine"]["dtype"] == "float32"
    assert cost["machine"]["attention"] == "sdpa"


def grouped(spec: Path, key: str, folder: Path, on: bool) -> Path:
    """A copy of a spec in which rows of like length share a batch, or not."""
    content = yaml.safe_load(spec.read_text())
    content[key]["group_by_length"] = on
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def of_policy(results: Path, spec: Path) -> list:
    """The arguments of a policy's training by a spec."""
    files = {"--data": "data/small/train.parquet", "--reference": f"reference/{PLACE}/train.parquet"}
    files |= {"--model": f"sft/{PLACE}/model"}
    return ["--spec", spec, "--seed", 1, *(part for name, path in files.items() for part in (name, results / path))]


def test_sft_is_that_of_one_process(finished, tmp_path):
    results = finished.folder / "results"
    arguments = ["--spec", results / f"specs/sft/{PLACE}.yaml", "--data", results / "data/small/train.parquet"]
    printed = run(finished, "train_sft", *arguments, "--output-dir", tmp_path)
    assert printed.count("step 28/28") == 1  # the first process alone tells
    assert_same_training(results / f"sft/{PLACE}", tmp_path)


@pytest.mark.parametrize("by_length", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_the_reward_model_is_that_of_one_process(finished, tmp_path, by_length):
    results = finished.folder / "results"
    spec = grouped(results / "specs/reward/tiny.yaml", "train", tmp_path, by_length)
    arguments = ["--spec", spec, "--data", results / "data/small/train.parquet"]
    arguments += ["--model", results / f"sft/{PLACE}/model"]
    one = results / "reward_models/small/tiny"
    if by_length:
        one = tmp_path / "one"
        run(finished, "train_reward", *arguments, "--output-dir", one, processes=1)
    run(finished, "train_reward", *arguments, "--output-dir", tmp_path / "two")
    assert_same_training(one, tmp_path / "two")


@pytest.mark.parametrize("by_length", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_dpo_is_that_of_one_process(finished, tmp_path, by_length):
    results = finished.folder / "results"
    spec = grouped(results / f"specs/policy/{PLACE}/dpo-beta0.1.yaml", "hyperparameters", tmp_path, by_length)
    arguments = of_policy(results, spec)
    one = results / f"policies/{PLACE}/dpo-beta0.1/seed1"
    if by_length:
        one = tmp_path / "one"
        run(finished, "train_policy", *arguments, "--output-dir", one, processes=1)
    run(finished, "train_policy", *arguments, "--output-dir", tmp_path / "two")
    assert_same_training(one, tmp_path / "two")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU, and accelerate has no FSDP on a CPU")
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", "zero2", "zero3"])
def test_dpo_on_gpus_is_that_of_one_process_however_the_model_is_held(copied, tmp_path, strategy):
    if strategy.startswith("zero"):
        pytest.importorskip("deepspeed", reason="deepspeed is not installed (envs/requirements-gpu.txt)")
    whole = {"accelerator": "cuda", "precision": "fp32"}
    copied.configure(lambda devices: devices.update(gpu=whole), "config/devices.yaml")
    results, gpus = copied.folder / "results", torch.cuda.device_count()
    arguments = of_policy(results, results / f"specs/policy/{PLACE}/dpo-beta0.1.yaml")
    run(copied, "train_policy", *arguments, "--output-dir", tmp_path / "one", processes=1, device="gpu")
    parts = {"processes": gpus, "strategy": strategy, "device": "gpu"}
    run(copied, "train_policy", *arguments, "--output-dir", tmp_path / "parts", **parts)
    assert_same_training(tmp_path / "one", tmp_path / "parts", gpus)


def test_a_mix_of_online_rows_is_trained_again_to_the_same_bytes(finished, tmp_path):
    """Rollouts and rewards are each process's own, so one process differs; two runs of two processes do not."""
    results = finished.folder / "results"
    spec = grouped(results / f"specs/policy/{PLACE}/mix-r0.2-p0.2-g0.2.yaml", "hyperparameters", tmp_path, True)
    arguments = of_policy(results, spec)
    arguments += ["--reward-spec", results / "specs/reward/tiny.yaml"]
    arguments += ["--reward-model", results / "reward_models/small/tiny/model"]
    for name in ("first", "again"):
        run(finished, "train_policy", *arguments, "--output-dir", tmp_path / name)
    for name in ("manifest.json", "metrics.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_reference_responses_and_scores_are_the_same_bytes(finished, tmp_path):
    """With more prompts than one stream of random numbers has, and a last batch that is not full."""
    results = finished.folder / "results"
    train = pd.read_parquet(results / "data/small/train.parquet")
    prompts = [f"{prompt} {i}" for i in range(6) for prompt in train["prompt"]]
    many = pd.concat([train] * 6, ignore_index=True).assign(
        prompt=prompts, prompt_id=[f"p{i}" for i in range(len(prompts))]
    )
    assert len(many) > 512 + 16 and len(many.iloc[:-3]) % 16
    data = tmp_path / "many.parquet"
    many.iloc[:-3].to_parquet(data)
    spec = yaml.safe_load((results / "specs/generation/tiny.yaml").read_text())
    spec["decoding"] |= {"max_new_tokens": 6, "temperature": 0.7}  # KL gets a plain sample of its own
    (tmp_path / "generation.yaml").write_text(yaml.safe_dump(spec))
    sft, policy = results / f"sft/{PLACE}/model", results / f"policies/{PLACE}/dpo-beta0.1/seed1/model"
    written = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        reference = ["--spec", results / f"specs/reference/{PLACE}.yaml", "--data", data, "--model", sft]
        run(finished, "compute_reference", *reference, "--output", folder / "reference.parquet", processes=processes)
        generation = ["--spec", tmp_path / "generation.yaml", "--data", data, "--model", policy, "--seed", 3]
        generation += ["--reference", folder / "reference.parquet", "--reference-model", sft]
        generation += ["--responses", folder / "responses.parquet", "--evaluation", folder / "evaluation.parquet"]
        run(finished, "generate_responses", *generation, processes=processes)
        scoring = ["--spec", results / "specs/reward/tiny.yaml", "--responses", folder / "responses.parquet"]
        scoring += ["--reward-model", results / "reward_models/small/tiny/model"]
        run(finished, "score_responses", *scoring, "--output", folder / "scores.parquet", processes=processes)
        written[processes] = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    assert len(written[1]) == 4 and written[2] == written[1]
    responses = pd.read_parquet(tmp_path / "2" / "responses.parquet")
    assert len(responses) == len(many) - 3 and responses["response"].nunique() > 100


@pytest.fixture
def two_processes(copied):
    """A finished workflow whose device has two processes from now on."""
    with (copied.folder / "config" / "devices.yaml").open("a") as devices:
        devices.write("cpux2: {accelerator: cpu, precision: fp32, processes: 2}\n")
    copied.configure(lambda config: config.update(device="cpux2"))
    return copied


def test_the_number_of_processes_makes_nothing_stale(two_processes):
    assert two_processes.plan() == set()


def test_rules_start_their_scripts_in_the_device_s_processes(two_processes, finished):
    planned = two_processes.snakemake("-n", "-p", "--forceall")
    for script in ("train_sft", "train_reward", "compute_reference", "train_policy", "generate_responses", "score_bt"):
        assert f"{LAUNCH} scripts/{script}.py" in planned
    assert "python scripts/judge_responses.py" in planned and "python scripts/prepare_data.py" in planned
    assert "accelerate" not in finished.snakemake("-n", "-p", "--forceall")


def test_a_rule_run_in_two_processes_leaves_nothing_to_do(two_processes):
    output = f"results/reference/{PLACE}/eval.parquet"
    before = (two_processes.folder / output).read_bytes()
    two_processes.snakemake(output, "--forcerun", "compute_reference")
    assert (two_processes.folder / output).read_bytes() == before
    assert Job("compute_reference", ("small", "tiny", "eval")) not in two_processes.plan()
