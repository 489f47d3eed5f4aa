"""Profiles, shipped configs, and what a machine without a GPU is told."""

import re

import pytest
import yaml

from workflow.snakemake_copy import REPOSITORY, SMALL, Workflow, read_plan

CONFIGS = sorted(
    path.name for path in (REPOSITORY / "config").glob("*.yaml") if "tasks" in yaml.safe_load(path.read_text("utf-8"))
)
T4 = ("--profile", "profiles/t4", "-j1")
DECODED = {"decode_responses"}  # of a further decoding
# Rules that run a model; a judge does where it is a reward model.
GPU_RULES = {
    *("train_sft", "train_reward", "compute_reference", "train_policy", "generate_responses"),
    *("score_responses", "score_bt"),
}


MACHINES = ("a40x4", "a6000x4", "a100x4")


def cuda():
    import torch

    return torch.cuda.is_available()


def gpu_rules(jobs):
    return {job.rule for job in jobs if job.resources.get("gpu", "0") != "0"}


def profile(name):
    return yaml.safe_load((REPOSITORY / "profiles" / name / "config.yaml").read_text("utf-8"))


def test_the_default_profile_holds_what_is_right_everywhere_alone():
    """It is merged over every other profile."""
    assert set(profile("default")) == {"cores", "scheduler", "rerun-incomplete", "max-checksum-file-size"}


def test_a_profile_that_names_a_config_is_the_t4s_alone():
    names = [path.parent.name for path in (REPOSITORY / "profiles").glob("*/config.yaml")]
    assert [name for name in names if "configfile" in profile(name)] == ["t4"]


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """What dry runs of a workflow that has not run print: {what is asked for: output}."""
    workflow = Workflow.new(tmp_path_factory.mktemp("plans") / "fresh")
    outputs = {
        "default": workflow.snakemake("-n", config=None),
        "small": workflow.snakemake("-n"),
        "t4": workflow.snakemake(*T4, "-n", config=None),
    }
    assert workflow.files("results") == {".gitkeep"}, "a dry run left a file"
    return outputs


def test_a_bare_dry_run_plans_the_embedded_default(plans):
    policies = {job.wildcards for job in read_plan(plans["default"]) if job.rule == "train_policy"}
    assert {dataset for dataset, _, _, _ in policies} == {"fair-world"}
    assert {run.split("-")[0] for _, _, run, _ in policies} == {"dpo", "ddp", "dpp", "dpr"}
    assert len({seed for _, _, _, seed in policies}) >= 3


def test_the_win_rates_can_be_asked_for_alone(fresh):
    rules = {job.rule for job in fresh.plan("results/winrate.csv", config=None)}
    assert {"prepare_data", "train_policy", "compute_winrate"} <= rules
    assert not rules & {"render_report", "plot_figures", "compute_cost", "score_bt"}


@pytest.mark.parametrize("config", CONFIGS)
def test_every_shipped_config_has_a_plan(fresh, config):
    rules = {job.rule for job in fresh.plan(config=f"config/{config}")}
    assert {"train_policy", "compute_winrate", "render_report"} <= rules


@pytest.mark.parametrize("name", ["small", "t4"])
def test_nothing_of_the_default_leaks_into_another_config(plans, name):
    assert not re.search(r"\bworld\b|W1M", plans[name])
    config = yaml.safe_load({"small": SMALL, "t4": REPOSITORY / "config" / "t4.yaml"}[name].read_text("utf-8"))
    answers = {job.wildcards for job in read_plan(plans[name]) if job.rule == "generate_responses"}
    assert {(dataset, model) for dataset, model, _, _, _ in answers} == {(*config["datasets"], *config["models"])}
    assert len({run for _, _, run, _, _ in answers}) == len(config["tasks"])
    assert {int(seed) for _, _, _, seed, _ in answers} == set(config["seeds"])


def test_the_t4_profile_names_its_config_and_device(plans):
    jobs = read_plan(plans["t4"])
    assert {job.wildcards[:2] for job in jobs if job.rule == "train_policy"} == {("U10", "Q0.5B")}
    assert {job.resources["device"] for job in jobs if job.rule in GPU_RULES} == {"t4"}


def test_the_t4_profile_never_runs_two_gpu_jobs_at_once(plans):
    """It has one GPU to give, and every job that runs a model takes one."""
    assert profile("t4")["resources"] == {"gpu": 1}
    jobs = read_plan(plans["t4"])
    # The reward model comes from the hub, and it is the judge too.
    assert gpu_rules(jobs) == GPU_RULES - {"train_reward"} | {"judge_responses", "measure_judge"}
    assert all(job.resources["gpu"] == "1" for job in jobs if job.rule in gpu_rules(jobs))


def test_the_gold_judge_needs_no_gpu(plans):
    assert gpu_rules(read_plan(plans["default"])) == GPU_RULES | DECODED


def test_a_cpu_device_asks_for_no_gpu(plans):
    assert gpu_rules(read_plan(plans["small"])) == set()


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_s_profile_gives_its_device_and_its_gpus(fresh, name):
    assert set(profile(name)) == {"config", "resources"}
    planned = fresh.snakemake("--profile", f"profiles/{name}", "-n", "-p")
    jobs = read_plan(planned)
    assert gpu_rules(jobs) == GPU_RULES
    processes = yaml.safe_load((REPOSITORY / "config" / "devices.yaml").read_text("utf-8"))[name]["processes"]
    assert profile(name)["resources"] == {"gpu": processes}
    on_gpus = [job for job in jobs if job.rule in GPU_RULES]
    assert {job.resources["gpu"] for job in on_gpus} == {str(processes)}
    assert {job.resources["device"] for job in on_gpus} == {name}
    launch = f"accelerate launch --config_file config/accelerate/ddp.yaml --num_processes {processes} scripts/"
    assert {rule for rule in GPU_RULES if f"{launch}{rule}.py" in planned} == GPU_RULES


def test_a_device_s_way_to_hold_a_model_is_for_training_alone(fresh):
    fresh.configure(lambda devices: devices["a100x4"].update(distributed="fsdp2"), "config/devices.yaml")
    planned = fresh.snakemake("--profile", "profiles/a100x4", "-n", "-p")
    launch = "accelerate launch --config_file config/accelerate/{}.yaml --num_processes 4 scripts/{}.py"
    for rule in GPU_RULES:
        assert launch.format("fsdp2" if rule.startswith("train_") else "ddp", rule) in planned


def test_a_batch_that_a_profile_cannot_cut_is_refused_before_any_job(fresh):
    fresh.configure(lambda config: config["policy"].update(global_batch_size=20))
    output = fresh.snakemake("--profile", "profiles/a100x4", "-n", code=1)
    assert "device a100x4, run dpo-beta0.1: a global batch of 20 is not a multiple of 4 rows per device" in output
    assert "per_device_batch_size.policy could be one of [1, 5]" in output and "Traceback" not in output


@pytest.mark.skipif(cuda(), reason="this machine has a CUDA device")
def test_without_cuda_the_t4_profile_stops_before_any_job(fresh):
    output = fresh.snakemake(*T4, code=1, config=None)
    message = output[output.index("WorkflowError") :]
    assert "needs CUDA" in message and "What runs here: `snakemake`" in message and "Traceback" not in output
    assert not re.search(r"^(local)?rule \w+:$|Finished jobid|^[\d:]+ (started|done) ", output, re.MULTILINE)
    assert fresh.files("results") == {".gitkeep"}
    assert not fresh.files(".snakemake/locks")


def test_lint_finds_nothing(fresh):
    assert "your workflow is in a good condition" in fresh.snakemake("--lint", config=None)
