"""Benchmarks of lm-eval, of local files, on tiny models: scores, answers, adapters, what is refused."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from fixtures_lm_eval import CHOICES, QUESTIONS, lm_eval, lm_eval_path, local_tasks  # noqa: F401
from fixtures_models import cpu_device, llama_tokenizer, tiny_chat_model, trunk_config
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

import run_lm_eval
from pipeline.columns.benchmark_samples import SAMPLE_COLUMNS
from pipeline.config.lm_eval import VERSION
from pipeline.generation import benchmarks
from pipeline.generation.benchmarks import measure_tasks, require_lm_eval
from pipeline.jobs.io import InputError, write_yaml
from pipeline.models.checkpoints import load_evaluated, load_tokenizer, save_checkpoint

TASKS = ({"task": "colours"}, {"task": "colours", "num_fewshot": 1, "limit": 2.0}, {"task": "words"})
PLAIN = {"apply_chat_template": False, "confirm_run_unsafe_code": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, lm_eval):  # noqa: F811
    """A start, a policy that is a LoRA adapter on it, and local tasks."""
    root = tmp_path_factory.mktemp("lm-eval")
    start = tiny_chat_model(root / "start")
    base = AutoModelForCausalLM.from_pretrained(start)
    torch.manual_seed(1)
    adapted = get_peft_model(base, LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", init_lora_weights=False))
    save_checkpoint(adapted, load_tokenizer(start), root / "policy")
    local_tasks(root / "tasks")
    return root


def spec_of(folder, *tasks):
    place = {"include_path": str(folder / "tasks")}
    return {"model": {"adapter": "lora"}, "lm_eval": VERSION, "tasks": [PLAIN | place | task for task in tasks]}


def run(folder, out, model, *tasks):
    write_yaml(spec_of(folder, *tasks), out / "spec.yaml")
    named = {"spec": out / "spec.yaml", "model": folder / model}
    named |= {"output": out / f"{model}.json", "samples": out / f"{model}.parquet"}
    arguments = [text for name, value in named.items() for text in (f"--{name}", str(value))]
    run_lm_eval.main([*arguments, "--device", "cpu", "--local-files", str(folder / "tasks/questions.jsonl")])
    return json.loads(named["output"].read_text()), pd.read_parquet(named["samples"])


@pytest.fixture(scope="module")
def measured(folder, tmp_path_factory):
    """What the start and the policy were measured at, in one place."""
    out = tmp_path_factory.mktemp("out")
    return {model: run(folder, out, model, *TASKS) for model in ("start", "policy")}


def by_hand(folder, model):
    """The choice that a model finds the likeliest, for each question."""
    tokenizer, policy = load_tokenizer(str(folder / model)), load_evaluated(str(folder / model), {}, cpu_device())
    found = []
    for question in QUESTIONS:
        start = tokenizer(f"Question: {question}\nAnswer:")["input_ids"]
        logps = []
        for choice in CHOICES:
            ids = tokenizer(f"Question: {question}\nAnswer: {choice}")["input_ids"]
            with torch.no_grad():
                logits = policy(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            logps.append(sum(logits[i - 1, ids[i]].item() for i in range(len(start), len(ids))))
        found.append(logps.index(max(logps)))
    return found


def test_scores_are_those_of_the_checkpoint_adapter_included(folder, measured):
    right = [number % len(CHOICES) for number in range(len(QUESTIONS))]
    guesses = {model: by_hand(folder, model) for model in measured}
    assert guesses["start"] != guesses["policy"], "the adapter changes nothing, so this tells nothing"
    for model, (results, samples) in measured.items():
        hits = [float(guess == answer) for guess, answer in zip(guesses[model], right, strict=True)]
        accuracies = samples[
            (samples["entry"] == 0) & (samples["task"] == "colours") & (samples["metric"] == "acc,none")
        ]
        assert accuracies["value"].tolist() == hits
        assert results["tasks"][0]["results"]["colours"]["acc,none"] == pytest.approx(sum(hits) / len(hits))


def test_answers_have_their_columns_and_only_metrics_of_single_answers(measured):
    results, samples = measured["start"]
    assert list(samples.columns) == SAMPLE_COLUMNS and results["lm_eval"] == VERSION
    assert set(zip(samples["task"], samples["metric"], strict=True)) == {
        ("colours", "acc,none"),
        ("words", "exact_match,none"),
    }
    first, second, words = results["tasks"]
    assert "brier_score,none" in first["results"]["colours"] and first["n-samples"]["colours"]["effective"] == 6
    assert second["n-shot"] == {"colours": 1} and second["n-samples"]["colours"] == {"original": 6, "effective": 2}
    assert second["higher_is_better"]["colours"] == {"acc": True, "brier_score": False}
    assert words["task"] == "words" and "exact_match,none" in words["results"]["words"]
    one = samples[samples["entry"] == 1]["question"].tolist()
    assert len(one) == 2 and set(one) < set(samples[samples["entry"] == 0]["question"])


def test_a_killed_job_goes_on_and_gives_the_same(folder, tmp_path, monkeypatch):
    asked, measure = [], benchmarks._measured

    def killed(model, task):
        asked.append(task["task"])
        if asked == ["colours", "colours"]:
            raise KeyboardInterrupt
        return measure(model, task)

    monkeypatch.setattr(benchmarks, "_measured", killed)
    given = spec_of(folder, *TASKS), str(folder / "start"), cpu_device()
    with pytest.raises(KeyboardInterrupt):
        measure_tasks(*given, tmp_path / "killed")
    results, samples = measure_tasks(*given, tmp_path / "killed")
    assert asked == ["colours", "colours", "colours", "words"], "the first task was asked again"
    of_one_go, samples_of_one_go = measure_tasks(*given, tmp_path / "whole")  # batches of the same size as the others
    assert results == of_one_go
    pd.testing.assert_frame_equal(samples, samples_of_one_go)


def test_what_cannot_be_run_is_one_line(folder, tmp_path):
    def refused(task):
        with pytest.raises(InputError) as error:
            measure_tasks(spec_of(folder, task), str(folder / "start"), cpu_device(), tmp_path)
        return str(error.value)

    assert re.match("lm_eval: the task nowhere cannot be run here .*gone.jsonl", refused({"task": "nowhere"}))


@pytest.mark.slow
def test_groups_have_their_tasks_and_a_name_that_there_is_not_is_told(folder, tmp_path):
    """Of lm-eval's own thousands of tasks, whose list takes seconds to make."""
    spec = spec_of(folder, {"task": "both"}, {"task": "arc_esy"})
    with pytest.raises(
        InputError, match=r"no task, group or tag 'arc_esy' in lm-eval nor in .*tasks; `lm_eval ls tasks"
    ):
        measure_tasks(spec, str(folder / "start"), cpu_device(), tmp_path)
    found = json.loads((tmp_path / "0.json").read_text())
    assert found["group_subtasks"] == {"both": ["colours", "words"]} and "acc,none" in found["results"]["both"]
    assert {"colours", "words"} < set(found["results"])


def test_questions_are_put_into_the_chat_template(folder, tmp_path, monkeypatch):
    seen, load = [], benchmarks.load_tokenizer

    def watched(*given):
        tokenizer = load(*given)
        encode = tokenizer.apply_chat_template
        tokenizer.apply_chat_template = lambda turns, **more: seen.append(turns) or encode(turns, **more)
        return tokenizer

    monkeypatch.setattr(benchmarks, "load_tokenizer", watched)
    task = {"task": "colours", "apply_chat_template": True, "limit": 1.0}
    measure_tasks(spec_of(folder, task), str(folder / "start"), cpu_device(), tmp_path)
    assert {"role": "user", "content": f"Question: {QUESTIONS[0]}\nAnswer:"} in [turns[-1] for turns in seen]


def test_on_cuda_rows_are_tried_for_choices_and_known_for_answers(folder, monkeypatch):
    given = load_evaluated(str(folder / "start"), {}, cpu_device()), load_tokenizer(str(folder / "start")), {}
    model = benchmarks._model(*given, replace(cpu_device(), type="cuda"), 3)
    assert (model.batch_size, model.max_batch_size) == ("auto", 3)
    monkeypatch.setattr(type(model).__bases__[0], "generate_until", lambda self, *requests: self.batch_size)
    assert model.generate_until([]) == 3 and model.batch_size == "auto"


def test_a_model_without_a_chat_template_is_told_so(folder, tmp_path):
    tokenizer = llama_tokenizer()
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("llama", tokenizer)), tokenizer, tmp_path / "base")
    spec = spec_of(folder, {"task": "colours", "apply_chat_template": True})
    with pytest.raises(InputError, match="base: its tokenizer has no chat template: leave out apply_chat_template"):
        measure_tasks(spec, str(tmp_path / "base"), cpu_device(), tmp_path)


def test_another_version_or_none_is_refused(monkeypatch):
    monkeypatch.setattr(benchmarks.importlib.metadata, "distributions", lambda name: iter([]))
    with pytest.raises(InputError, match=r"0\.0\.1, and none is installed: pip install --no-deps -r envs/req"):
        require_lm_eval("0.0.1")
