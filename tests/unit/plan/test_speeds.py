"""How long work takes, checked against jobs that ran: three sizes of models, each predicted by another's jobs."""

import json
from itertools import permutations
from pathlib import Path

import pytest

from pipeline.plan.pairs import Pairs
from pipeline.plan.shapes import Shape, model_shape, parameters_in_name, reward_shape
from pipeline.plan.speeds import START, Earlier, Machine, Speeds, read_records
from pipeline.plan.work import Place, Work, work_of

SIZES = json.loads((Path(__file__).parents[2] / "data/forecast.json").read_text(encoding="utf-8"))["sizes"]


def jobs_of(size):
    """What ran of one size, each with what it did and took."""
    run = SIZES[size]
    place = Place(run["models"], run["reward_models"], {"score": 32, "score_tokens": 16384})
    pairs = Pairs(run["rows"], run["prompt"], run["response"])
    for job in run["jobs"]:
        work = work_of(job["rule"], job["spec"], pairs, job["split"], place, job["files"])
        yield Earlier(job["rule"], job["method"], Machine("cpu", "cpu", job["threads"]), work, job["seconds"], 9.0)


def predicted(speeds, job):
    return speeds.seconds(job.rule, job.method, job.work, job.machine.threads)


@pytest.mark.parametrize(("known", "held_out"), permutations(["W1M", "medium"], 2))
def test_jobs_of_another_size_take_what_is_predicted(known, held_out):
    speeds, held = Speeds(jobs_of(known), Machine("cpu")), list(jobs_of(held_out))
    assert {job.rule for job in held} >= {"train_sft", "train_reward", "train_policy", "generate_responses"}
    for job in held:
        assert 1 / 1.5 < predicted(speeds, job) / (9.0 + job.seconds) < 1.5, job
    together = sum(predicted(speeds, job) for job in held) / sum(9.0 + job.seconds for job in held)
    assert 1 / 1.3 < together < 1.3


def test_a_hundredth_of_the_size_is_predicted_too():
    """Jobs of seconds, most of which is their start."""
    speeds, tiny = Speeds(jobs_of("W1M"), Machine("cpu")), list(jobs_of("tiny"))
    for job in tiny:
        assert 1 / 1.5 < predicted(speeds, job) / (9.0 + job.seconds) < 1.5, job


def test_a_method_that_never_ran_takes_as_long_as_other_trainings_do():
    most = [job for job in jobs_of("W1M") if job.method != "dpp"]
    [left] = [job for job in jobs_of("W1M") if job.method == "dpp"]
    assert predicted(Speeds(most, Machine("cpu")), left) == pytest.approx(9.0 + left.seconds, rel=0.3)


def test_without_earlier_jobs_on_such_a_device_speeds_are_guessed():
    jobs = list(jobs_of("W1M"))
    assert not Speeds(jobs, Machine("cpu")).are_guessed
    for machine in (Machine("cuda", "NVIDIA A100-SXM4-80GB"), Machine("cpu", processes=2)):
        assert Speeds(jobs, machine).are_guessed
    work = Work(operations=1e18, passes=0)
    slow, fast = (Speeds([], Machine("cuda", name)).seconds("train_sft", "", work) for name in ("Tesla T4", "H100"))
    assert slow - START["cuda"] == pytest.approx((fast - START["cuda"]) * 990 / 65)
    assert Speeds([], Machine("cuda", "t4", processes=4)).seconds("train_sft", "", work) < slow / 3


def test_work_is_tokens_times_parameters():
    place, pairs = Place({}, {}, {}), Pairs({"train": 100, "eval": 10}, 20, 30)
    shape = {"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = {"architecture": shape | {"intermediate_size": 128}, "vocab_size": 256, "adapter": "none"}
    parameters = 2 * (4 * 64**2 + 3 * 64 * 128) + 256 * 64
    assert model_shape(model) == Shape(parameters, 2, parameters)
    given = {"epochs": 2, "global_batch_size": 10, "max_length": 40}
    work = work_of("train_sft", {"model": model, "sft": given}, pairs, "train", place)
    assert work.operations == 6 * parameters * 40 * 200 and work.passes == 3 * 2 * 20  # 20 steps of one part
    assert work.written == 4 * parameters and work.state == 3 * work.written
    every, aside = {"model": model, "sft": given | {"responses": "all"}}, {"train": 100, "unlabelled": 50}
    assert work_of("train_sft", every, Pairs(aside, 20, 30), "train", place).operations == 3 * work.operations
    policy = {"model": model, "method": "dpo", "hyperparameters": given | {"max_steps": None}}
    plain = work_of("train_policy", policy, pairs, "train", place)
    assert plain.operations == 2 * work.operations
    half = policy | {"method": "ddp", "hyperparameters": policy["hyperparameters"] | {"r": 0.5}}
    assert work_of("train_policy", half, pairs, "train", place).operations == 2 * plain.operations
    as_many = policy | {"extent": {"epochs": 4, "global_batch_size": 10}}
    assert work_of("train_policy", as_many, pairs, "train", place).operations == 2 * plain.operations
    assert work_of("judge_responses", {"kind": "gold"}, pairs, "eval", place) is None


def test_methods_of_the_policys_own_responses_sample_and_score_them():
    shape = {"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = {"architecture": shape | {"intermediate_size": 128}, "vocab_size": 256, "adapter": "none"}
    size, pairs = model_shape(model).parameters, Pairs({"train": 100}, 20, 30)
    place = Place({"tiny": model}, {"judge": {"train": {"model": "tiny"}}}, {})
    scorer = place.reward("judge").parameters
    given = {"epochs": 2, "max_steps": None, "global_batch_size": 10}

    def operations(method, **values):
        spec = {"model": model, "method": method, "reward_model": "judge", "hyperparameters": given | values}
        return work_of("train_policy", spec, pairs, "train", place).operations

    # 100 prompts twice; two responses to each, of at most 25 tokens
    trained, sampled = 6 * size * 45, 2 * size * 45
    both = 400 * (trained + sampled + 2 * size * 45 + 2 * scorer * 45)
    assert operations("online_dpo", beta=0.1, max_new_tokens=25) == both
    grouped = {"num_generations": 5, "max_completion_length": 25, "num_iterations": 1}
    # five responses to each prompt, ten of which are a step
    five = 1000 * (trained + sampled + 2 * scorer * 45)
    assert operations("grpo", beta=0, **grouped) == five
    assert operations("rloo", beta=0.1, **grouped) == five + 1000 * 2 * size * 45
    assert operations("grpo", beta=0, **grouped | {"num_iterations": 3}) == five + 2000 * trained
    assert operations("grpo", beta=0, **grouped | {"max_steps": 10}) == five / 10
    # eight responses to each prompt once, of which two are trained on twice
    rounds = {"beta": 0.1, "n": 8, "rounds": 3, "round_prompts": "split", "max_new_tokens": 25}
    eight = 400 * trained + 200 * 2 * size * 45 + 800 * (sampled + 2 * scorer * 45)
    assert operations("iterated_dpo", **rounds) == eight
    assert operations("iterated_dpo", **rounds | {"round_prompts": "all"}) == 3 * eight
    one = operations("iterated_dpo", **rounds | {"max_steps": 10})
    assert one == operations("iterated_dpo", **rounds | {"epochs": 1})


def test_several_responses_to_a_prompt_are_shared_by_its_pairs():
    shape = {"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = {"architecture": shape | {"intermediate_size": 128}, "vocab_size": 256, "adapter": "none"}
    place, pairs = Place({"tiny": model}, {"judge": {"train": {"model": "tiny"}}}, {}), Pairs({"train": 100}, 20, 30)
    given = {"epochs": 2, "max_steps": 20, "global_batch_size": 10, "g": 0.5, "rollout_max_new_tokens": 30}

    def operations(**values):
        hyperparameters = given | {"rollout_prompts": 8, "rollout_reuse": 1} | values
        spec = {"model": model, "method": "dpr", "reward_model": "judge", "hyperparameters": hyperparameters}
        return work_of("train_policy", spec, pairs, "train", place).operations

    none, two = operations(g=0), operations()
    assert operations(rollout_responses=2) == two
    # four responses are six pairs, or one
    assert operations(rollout_responses=4) - none == pytest.approx((two - none) / 3)
    extremes = operations(rollout_responses=4, rollout_pairs="extremes")
    assert extremes - none == pytest.approx(2 * (two - none))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen1.5-0.5B", 5e8),
        ("EleutherAI/pythia-70m-deduped", 7e7),
        ("mistralai/Mistral-7B-v0.1", 7e9),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 1.35e8),
        ("microsoft/phi-2", None),
        ("a/b4b", None),
    ],
)
def test_a_name_tells_the_size_of_a_model(name, parameters):
    assert parameters_in_name(name) == parameters
    shape = model_shape({"path": name, "adapter": "lora", "lora": {"r": 8}})
    assert (shape is None) == (parameters is None)
    if shape:
        assert shape.frozen and 0 < shape.trained < 0.05 * parameters


def test_a_local_folders_config_tells_more_than_its_name(tmp_path):
    folder = tmp_path / "my-7b"
    folder.mkdir()
    config = {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9}
    config |= {"num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152}
    (folder / "config.json").write_text(json.dumps(config))
    shape = reward_shape({"path": str(folder)}, {})
    assert shape.parameters == pytest.approx(134.5e6, rel=0.01) and shape.layers == 30 and not shape.frozen
    (folder / "config.json").write_text("[]")
    assert model_shape({"path": str(folder)}, "none").parameters == 7e9


def test_records_are_read_with_what_snakemake_measured(tmp_path):
    record = {"script": "score_responses.py", "outputs": [f"results/scores/d/m/r/seed{n}/eval.parquet" for n in (1, 2)]}
    folder, times = tmp_path / "scores/d/m/r/seed1", tmp_path / "benchmarks/score_responses/d/m/r"
    for path in (folder, times, tmp_path / "sft/a", tmp_path / "bt/b"):
        path.mkdir(parents=True)
    (folder / "eval.provenance.json").write_text(json.dumps(record))
    (times / "eval.tsv").write_text("s\n7.5\n")
    (tmp_path / "sft/a/provenance.json").write_text("{")
    (tmp_path / "bt/b/provenance.json").write_text("{}")
    assert list(read_records(tmp_path)) == [(record, 7.5)]
    (times / "eval.tsv").unlink()
    assert list(read_records(tmp_path)) == [(record, None)]
