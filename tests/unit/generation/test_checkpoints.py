"""Checkpoints answer, and are scored by the labelling reward model and by the judge."""

import json
import shutil
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from fixtures_models import chat_tokenizer, trunk_config
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import evaluate_checkpoints
from pipeline.columns.checkpoint_scores import CHECKPOINT_COLUMNS
from pipeline.generation import checkpoints
from pipeline.jobs.io import write_json, write_parquet, write_yaml
from pipeline.models.checkpoints import save_checkpoint

WORDS = ("red", "old", "big")
FRAME = pd.DataFrame(
    [(f"id{i}", f"What is {word}?", f"It is {word}.", "No.") for i, word in enumerate(WORDS)],
    columns=["prompt_id", "prompt", "chosen", "rejected"],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny models: a start, a policy with a kept checkpoint, two reward models; the split and the specs."""
    root, tokenizer = tmp_path_factory.mktemp("checkpoints"), chat_tokenizer()
    for seed, name in enumerate(("start", "seed1/checkpoints2/step-3", "seed1/model")):
        torch.manual_seed(seed)
        save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)), tokenizer, root / name)
    for seed, name in enumerate(("labels", "judges")):
        torch.manual_seed(seed)
        config = trunk_config("qwen2", tokenizer)
        config.num_labels, config.text_format = 1, "chat_template"
        save_checkpoint(AutoModelForSequenceClassification.from_config(config), tokenizer, root / name)
        write_yaml({"name": name, "reverse": False}, root / f"{name}.yaml")
    write_json({"steps": [3, 6], "files": {}}, root / "seed1" / "checkpoints2.json")
    write_parquet(FRAME, root / "eval.parquet")
    decoding = {
        "name": "greedy",
        "do_sample": False,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 8,
        "backend": "transformers",
    }
    write_yaml({"model": {"path": str(root / "start")}, "decoding": decoding, "prompts": 2}, root / "sampling.yaml")
    write_yaml({"name": "judge", "kind": "reward"}, root / "judge.yaml")
    write_yaml({"name": "paid", "kind": "openai"}, root / "paid.yaml")
    return root


def evaluate(folder, output, *more, judge="judge", model="seed1/model"):
    named = {"sampling": "sampling.yaml", "data": "eval.parquet", "model": model, "reference-model": "start"}
    named |= {"label-spec": "labels.yaml", "label-model": "labels", "spec": f"{judge}.yaml"}
    arguments = [text for name, file in named.items() for text in (f"--{name}", str(folder / file))]
    reward = ["--reward-spec", str(folder / "judges.yaml"), "--reward-model", str(folder / "judges")]
    fixed = ["--seed", "1", "--device", "cpu", "--output", str(output)]
    evaluate_checkpoints.main([*arguments, *(reward if judge == "judge" else []), *fixed, *more])
    return pd.read_parquet(output)


@pytest.fixture(scope="module")
def measured(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("out") / "measured.parquet"
    return evaluate(folder, place, "--checkpoints", str(folder / "seed1/checkpoints2.json"))


def test_each_checkpoint_answers_the_first_prompts(measured):
    assert list(measured.columns) == CHECKPOINT_COLUMNS
    assert measured[["step", "prompt_id"]].to_numpy().tolist() == [[3, "id0"], [3, "id1"], [6, "id0"], [6, "id1"]]
    assert (measured["response_logps"] != measured["ref_response_logps"]).all() and (
        measured["response_tokens"] > 0
    ).all()
    first, last = (measured.loc[measured["step"] == step, "response"].tolist() for step in (3, 6))
    assert first != last


def test_both_scores_are_those_of_their_reward_models(measured, folder):
    from fixtures_models import cpu_device

    from pipeline.rewards.scorer import RewardModel

    prompts = measured["prompt_id"].map(FRAME.set_index("prompt_id")["prompt"]).tolist()
    for column, name in (("labelling_score", "labels"), ("judge_score", "judges")):
        model = RewardModel(str(folder / name), {"reverse": False}, cpu_device(4))
        assert measured[column].to_numpy() == pytest.approx(
            model.score(prompts, measured["response"].tolist()), abs=1e-5
        )


def test_the_start_has_no_divergence_and_a_judge_that_is_paid_is_not_asked(folder, tmp_path):
    found = evaluate(folder, tmp_path / "start.parquet", judge="paid", model="start")
    assert (found["step"] == 0).all() and len(found) == 2
    assert found["response_logps"].to_numpy() == pytest.approx(found["ref_response_logps"].to_numpy())
    assert np.isnan(found["judge_score"]).all() and found["labelling_score"].notna().all()


def test_the_record_names_the_checkpoints(folder, tmp_path, measured):
    copied = shutil.copytree(folder, tmp_path / "copy")
    evaluate(copied, tmp_path / "again.parquet", "--checkpoints", str(copied / "seed1/checkpoints2.json"))
    record = json.loads((tmp_path / "again.provenance.json").read_text())
    assert any(path.endswith("checkpoints2.json") for path in record["inputs"])
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "again.parquet"), measured)


def test_a_policy_is_gone_before_the_next_one_is_loaded(folder, tmp_path, monkeypatch):
    held, fits, load, fit = [], [], checkpoints.load_evaluated, checkpoints.fitted

    def loaded(*given):
        held.append(sum(reference() is not None for reference in references))
        model = load(*given)
        references.append(weakref.ref(model))
        return model

    references = []
    monkeypatch.setattr(checkpoints, "load_evaluated", loaded)
    monkeypatch.setattr(checkpoints, "fitted", lambda *given: fits.append(len(held)) or fit(*given))
    evaluate(folder, tmp_path / "out.parquet", "--checkpoints", str(folder / "seed1/checkpoints2.json"), judge="paid")
    assert held == [0, 1, 1] and fits == [2, 2]
