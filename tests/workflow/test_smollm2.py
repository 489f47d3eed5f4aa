"""A real pretrained chat model: its answers, its log-probabilities, a few steps; and config/smollm2.yaml.

The last, which is exhaustive, is of real dialogues, from nothing to the report: all are prepared, and 8 train and 4
eval pairs of at most 128 tokens go through every stage. The model is made by a tool beside the repository, or is in a
folder that SMOLLM2 names.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.jobs.io import read_json
from workflow.snakemake_copy import REPOSITORY, Workflow, points_outside

SHARED = REPOSITORY.parent / "shared"
DIALOGUES, TOOL = SHARED / "hh-rlhf", SHARED / "tools" / "smollm2"
CONFIG = "config/smollm2.yaml"
DPO, DPR = "dpo-beta0.1", "dpr-beta0.1-g0.5-gamma0"
RUNS, PLACE = ["start", DPO, DPR], "hh/smollm2"
MOST_MIB = 6 * 1024
# Smaller than the small size: 8 train and 4 eval pairs, 4 pairs a step.
SMALLER = {
    "tasks": [{"method": "sft"}, {"method": "dpo", "beta": [0.1]}, {"method": "dpr", "g": [0.5], "gamma": [0.0]}],
    "policy": {
        **{"beta": 0.1, "global_batch_size": 4, "max_steps": 3, "learning_rate": 1e-3, "warmup_steps": 0},
        **{"rollout_max_new_tokens": 12, "rollout_prompts": 4},
    },
    "decoding": "sample",
    "decodings": {"sample": {"max_new_tokens": 16}},
    "evaluate_checkpoints": 2,
    "checkpoint_prompts": 4,
}
QUESTIONS = {
    "What is the capital of France?": "Paris",
    "Name the largest ocean on Earth.": "Pacific",
    "What is 2 + 2?": "4",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """SmolLM2-135M-Instruct."""
    if given := os.environ.get("SMOLLM2"):
        return Path(given)
    if not TOOL.is_file():
        pytest.skip(f"there is no {TOOL} that makes the model")
    place = tmp_path_factory.mktemp("smollm2") / "model"
    subprocess.run([TOOL, sys.executable, place], check=True)
    return place


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    """Folder of the results; model and dialogues are given on the command line."""
    if not DIALOGUES.is_dir():
        pytest.skip(f"there are no dialogues in {DIALOGUES}")
    workflow = Workflow.new(tmp_path_factory.mktemp("real") / "workflow")
    entries = {
        "models": {"smollm2": {"path": str(folder), "lora": {"r": 16}}},
        "datasets": {"hh": {"path": str(DIALOGUES), "limit": 12, "eval_share": 0.34}},
    }
    given = {"size": "small", "definitions": entries, **SMALLER}
    workflow.snakemake("--config", *(f"{key}={json.dumps(value)}" for key, value in given.items()), config=CONFIG)
    return workflow.folder / "results"


@pytest.fixture(scope="module")
def loaded(folder):
    """(model, tokenizer, device, entry) of the model as it is."""
    from fixtures_models import cpu_device

    from pipeline.models.checkpoints import load_policy, load_tokenizer

    device = cpu_device(4)
    model = load_policy(str(folder), {}, device=device, **device.model_kwargs()).eval()
    return model, load_tokenizer(str(folder), {}), device, {}


def parquet(results, path):
    return pd.read_parquet(results / path)


def test_plain_questions_get_english_answers_that_end(loaded):
    from pipeline.generation.responses import generate_responses

    model, tokenizer, device, entry = loaded
    frame = pd.DataFrame({"prompt_id": list(map(str, range(len(QUESTIONS)))), "prompt": list(QUESTIONS)})
    greedy = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 96}
    found = generate_responses(greedy, entry, frame, model, tokenizer, 0, device)
    for response, finished, word in zip(found["response"], found["finished"], QUESTIONS.values(), strict=True):
        assert finished and word.lower() in response.lower(), response
        assert response.isascii() and response.endswith(".") and {"is", "the", "a"} & set(response.lower().split())


def mean_loss(policy, reference, pairs, pad_token_id) -> float:
    """DPO's loss with beta 0.1, the mean of (prompt, [chosen, rejected]) in tokens."""
    from pipeline.models.logps import response_logps

    gains = []
    for side in (0, 1):
        starts, ids = [start for start, _ in pairs], [responses[side] for _, responses in pairs]
        after, before = (response_logps(model, starts, ids, pad_token_id, 4) for model in (policy, reference))
        gains.append([a - b for a, b in zip(after, before, strict=True)])
    losses = [math.log1p(math.exp(-0.1 * (chosen - rejected))) for chosen, rejected in zip(*gains, strict=True)]
    return sum(losses) / len(losses)


def test_log_probabilities_are_those_that_it_samples_by(loaded):
    import torch

    from pipeline.models.logps import response_logps
    from pipeline.models.templates import prompt_token_ids

    model, tokenizer, _, entry = loaded
    prompt = prompt_token_ids("What is the capital of France?", tokenizer, entry)
    made = model.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=16, output_logits=True, return_dict_in_generate=True
    )
    response = made.sequences[0, len(prompt) :].tolist()
    steps = torch.stack([logits[0] for logits in made.logits]).float().log_softmax(-1)
    sampled = sum(steps[i, token].item() for i, token in enumerate(response))
    assert response_logps(model, [prompt], [response], tokenizer.pad_token_id, 1) == pytest.approx([sampled], abs=1e-3)


def test_a_few_steps_of_dpr_lower_the_loss_of_their_pairs(folder, loaded, tmp_path):
    """What the workflow's jobs do to dialogues, by the plugin alone, to questions with a right and a wrong answer."""
    from datasets import Dataset
    from peft import LoraConfig
    from plugin.tiny import reward

    from pipeline.models.templates import pair_token_ids
    from sail import SAILConfig, SAILTrainer

    model, tokenizer, _, entry = loaded
    answers = list(QUESTIONS.values())
    texts = [
        (question, f"It is {answer}.", f"It is {answers[i - 1]}.")
        for i, (question, answer) in enumerate(QUESTIONS.items())
    ]
    rows = [
        {"prompt": [{"role": "user", "content": question}]}
        | {
            side: [{"role": "assistant", "content": text}]
            for side, text in zip(("chosen", "rejected"), both, strict=True)
        }
        for question, *both in texts
    ]
    args = SAILConfig(
        **{"output_dir": str(tmp_path), "g": 0.5, "gamma": 0.0, "beta": 0.1, "max_steps": 4, "learning_rate": 1e-3},
        **{"per_device_train_batch_size": 3, "max_length": 64, "rollout_max_new_tokens": 8, "rollout_prompts": 3},
        **{"use_cpu": True, "bf16": False, "activation_checkpointing": False},
        **{"report_to": "none", "save_strategy": "no"},
    )
    trainer = SAILTrainer(
        str(folder),
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        reward_funcs=reward,
        peft_config=LoraConfig(r=16, target_modules="all-linear"),
    )
    trainer.train()
    routed = [log["sail/rows_dpr"] for log in trainer.state.log_history if "sail/rows_dpr" in log]
    assert sum(routed) > 0, trainer.state.log_history
    pairs = [pair_token_ids(question, both, tokenizer, entry) for question, *both in texts]
    loss = mean_loss(trainer.model.eval(), model, pairs, tokenizer.pad_token_id)
    assert loss < math.log(2) - 0.01  # which it is where policy and reference are one


@pytest.mark.exhaustive
def test_generation_and_training_agree_on_log_probabilities(results):
    measured = parquet(results, f"evaluations/{PLACE}/start/seed1/eval.parquet")  # by the code that generates
    trained = parquet(results, f"reference/{PLACE}/eval.parquet").set_index("prompt_id")  # by the trainer
    assert len(measured) == len(trained) == 4
    for side in ("chosen", "rejected"):
        expected = trained.loc[measured["prompt_id"], f"ref_{side}_logps"].to_numpy()
        assert measured[f"{side}_logps"].to_numpy() == pytest.approx(expected, rel=2e-5, abs=1e-3)  # sums in float32


@pytest.mark.exhaustive
def test_the_loss_on_one_batch_is_lower_after_training(results, loaded):
    from pipeline.models.checkpoints import load_policy
    from pipeline.models.templates import as_text, pair_token_ids

    model, tokenizer, device, entry = loaded
    frame = parquet(results, f"data/{PLACE.split('/')[0]}/train.parquet")
    pairs = [
        pair_token_ids(as_text(row.prompt), [as_text(row.chosen), as_text(row.rejected)], tokenizer, entry)
        for row in frame.itertuples()
    ]
    trained = load_policy(str(results / f"policies/{PLACE}/{DPO}/seed1/model"), entry, device=device).eval()
    assert mean_loss(trained, model, pairs, tokenizer.pad_token_id) < math.log(2) - 0.01


@pytest.mark.exhaustive
def test_two_jobs_side_by_side_stay_within_memory(results):
    peaks = [pd.read_csv(path, sep="\t")["max_rss"].max() for path in (results / "benchmarks").rglob("*.tsv")]
    assert len(peaks) > 20 and sum(sorted(peaks)[-2:]) < MOST_MIB


@pytest.mark.exhaustive
def test_all_dialogues_are_prepared_and_some_drawn(results):
    card = read_json(results / "data/hh/card.json")
    assert card["rows_in"] == 600 and card["splits"] == {"train": 8, "selection": 0, "eval": 4}
    assert card["dropped"]["too_long"] > 200 and sum(card["dropped"].values()) == 600 - 12


@pytest.mark.exhaustive
def test_the_reward_models_that_label_and_judge_learned_from_other_prompts(results):
    records = [read_json(results / f"reward_models/hh/{name}/provenance.json") for name in ("proxy", "independent")]
    shares = [record["spec"]["train"]["share"] for record in records]
    assert [share["part"] for share in shares] == [1, 2] and {share["of"] for share in shares} == {2}
    logs = [(results / f"logs/train_reward/hh/{name}.log").read_text() for name in ("proxy", "independent")]
    counts = [int(log.split("trained on ")[1].split(" of 8 pairs")[0]) for log in logs]
    assert sum(counts) == 8 and min(counts) > 0
    verdicts = parquet(results, f"verdicts/{PLACE}/{DPR}/seed1/eval-vs-{DPO}.parquet")
    assert (verdicts["judge"] == "independent").all() and (verdicts["status"] == "parsed").all()
    assert 0 <= read_json(results / "judge_quality/hh/independent/eval.json")["agreement"]["value"] <= 1


@pytest.mark.exhaustive
def test_checkpoints_are_measured_by_both(results):
    table = pd.read_csv(results / "overoptimisation.csv")
    assert list(zip(table["run"], table["step"], strict=True)) == [
        ("start", 0),
        *((run, step) for run in RUNS[1:] for step in (2, 3)),
    ]
    assert table.loc[table["run"] == "start", "kl"].tolist() == [0.0]
    assert table[["labelling_score", "judge_score", "sqrt_kl"]].notna().all().all()
    rows = parquet(results, f"checkpoints/{PLACE}/{DPR}/seed1/eval-of2.parquet")
    assert (rows["response_logps"] != rows["ref_response_logps"]).any() and len(rows) == 2 * 4


@pytest.mark.exhaustive
def test_the_report_says_what_the_size_is_for(results):
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "it shows that the workflow runs, not which method wins" in page
    assert all(run in page for run in RUNS) and "Reward against KL" in page and not points_outside(page)
    assert list(dict.fromkeys(pd.read_csv(results / "winrate.csv")["run"])) == RUNS
