"""Several responses to each prompt: each is drawn by itself, and all are scored and ranked the same every time."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from fixtures_endpoint import Answer, Endpoint
from fixtures_models import chat_tokenizer, cpu_device, tiny_chat_model, trunk_config
from transformers import AutoModelForSequenceClassification

import choose_responses
import sample_candidates as sampling_script
from pipeline.columns.candidates import CANDIDATE_COLUMNS, SAMPLED_TOKENS
from pipeline.columns.responses import RESPONSE_COLUMNS
from pipeline.generation.candidates import sample_candidates, score_candidates
from pipeline.jobs.io import read_json, read_parquet, write_parquet, write_yaml
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint
from pipeline.rewards.ranking import best, ranked
from pipeline.rewards.scorer import RewardModel
from pipeline.rewards.scoring import run_batches

FRAME = pd.DataFrame({"prompt_id": ["b", "a", "c"], "prompt": ["What is red?", "What is old?", "What is it, please?"]})
SAMPLE = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4}


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return tiny_chat_model(tmp_path_factory.mktemp("policy") / "model")


def sampled(policy, n=3, seed=7, device=None, **decoding):
    model, tokenizer = load_policy(policy).eval(), load_tokenizer(policy)
    given = model, tokenizer, seed, device or cpu_device(4), policy
    return sample_candidates(n, SAMPLE | decoding, {}, FRAME, *given)


def test_a_prompt_has_n_responses_of_its_own(policy):
    table = sampled(policy)
    assert table["prompt_id"].tolist() == [*"bbbaaaccc"] and table["candidate"].tolist() == [0, 1, 2] * 3
    assert table["prompt"].tolist() == [prompt for prompt in FRAME["prompt"] for _ in range(3)]
    assert table.groupby("prompt_id")["response_ids"].agg(lambda ids: len(set(map(tuple, ids)))).min() > 1
    pd.testing.assert_frame_equal(table, sampled(policy))
    assert table["response"].tolist() != sampled(policy, seed=8)["response"].tolist()


def test_each_response_is_asked_of_a_server_with_a_seed_of_its_own(policy):
    def answer(call):
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "text": str(json.loads(call.data)["seed"])}
        content = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
        return Answer(json.dumps(content).encode())

    with Endpoint(answer) as server:
        device = replace(cpu_device(1), server_url=server.url)
        table = sampled(policy, device=device, backend="server")
        first = sampled(policy, n=1, device=device, backend="server")
        seeds = [json.loads(call.data)["seed"] for call in server.calls]
    assert len(set(seeds)) == 9
    assert set(first["response"]) <= set(table["response"])  # one more response changes none before it


@pytest.fixture(scope="module")
def reward_folder(tmp_path_factory):
    tokenizer, folder = chat_tokenizer(), tmp_path_factory.mktemp("reward") / "model"
    torch.manual_seed(1)
    config = trunk_config("qwen2", tokenizer)
    config.num_labels, config.text_format = 1, "chat_template"
    save_checkpoint(AutoModelForSequenceClassification.from_config(config), tokenizer, folder)
    return str(folder)


def test_scores_are_the_reward_model_s(policy, reward_folder, tmp_path):
    reward, table = RewardModel(reward_folder, {"reverse": False}, cpu_device(4)), sampled(policy)
    scored = score_candidates(table, reward, tmp_path / "kept", "candidates")
    assert list(scored.columns) == CANDIDATE_COLUMNS
    assert scored["response_score"].tolist() == pytest.approx(
        reward.score(table["prompt"].tolist(), table["response"].tolist()), abs=1e-5
    )
    chosen = best(scored)
    assert chosen["prompt_id"].tolist() == FRAME["prompt_id"].tolist()
    highest = scored.groupby("prompt_id")["response_score"].max()
    assert chosen["response_score"].tolist() == highest[chosen["prompt_id"]].tolist()


def test_of_equal_candidates_the_earlier_one_is_better_whatever_the_order_of_the_rows():
    table = pd.DataFrame(
        {
            "prompt_id": [*"bbbaaa"],
            "candidate": [0, 1, 2, 0, 1, 2],
            "response_score": [1.0, 2.0, 2.0, 0.5, -1.0, 0.5],
            "finished": [True, False, True, True, True, True],
        }
    )

    def order(found):
        return dict(found.groupby("prompt_id")["candidate"].agg(list))

    assert order(ranked(table)) == order(ranked(table[::-1])) == {"b": [1, 2, 0], "a": [0, 2, 1]}
    assert best(table)[["prompt_id", "candidate"]].to_numpy().tolist() == [["b", 1], ["a", 0]]
    assert best(table, 0.5)["candidate"].tolist() == [2, 0]  # the cut one loses half a point
    assert best(table, 0.5)["response_score"].tolist() == [2.0, 0.5]  # which no score in the table shows


@pytest.fixture
def sample(policy, reward_folder, tmp_path):
    """A function that runs the job of sampling into a folder; the table's path."""
    repeated = pd.concat([FRAME, FRAME.head(1)]).assign(chosen="It is.", rejected="No.")  # a prompt with two pairs
    write_parquet(repeated, tmp_path / "eval.parquet")
    spec = {"dataset": "d", "model": {"name": "m"}, "decoding": SAMPLE | {"backend": "transformers"}}
    write_yaml(spec | {"max_length": 64, "n": 3, "reward_model": "r"}, tmp_path / "spec.yaml")
    write_yaml({"name": "r", "reverse": False}, tmp_path / "reward.yaml")

    def run(name):
        output = tmp_path / name / "eval.parquet"
        places = {"spec": "spec.yaml", "data": "eval.parquet", "reward-spec": "reward.yaml"}
        arguments = [text for key, file in places.items() for text in (f"--{key}", str(tmp_path / file))]
        models = ["--model", policy, "--reward-model", reward_folder, "--seed", "7"]
        sampling_script.main([*arguments, *models, "--output", str(output), "--device", "cpu", "--threads", "1"])
        return output

    return run


def test_a_job_that_was_killed_while_it_scored_samples_nothing_again(sample, monkeypatch, tmp_path):
    whole, asked = sample("whole"), []

    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.rewards.scorer.run_batches", killed)
        with pytest.raises(KeyboardInterrupt):
            sample("cut")
    assert not (tmp_path / "cut" / "eval.parquet").exists()
    generate = "pipeline.generation.candidates.generate_responses"
    monkeypatch.setattr(generate, lambda *given: asked.append(given))
    monkeypatch.setattr("pipeline.rewards.scorer.run_batches", run_batches)
    cut = sample("cut")
    assert not asked and cut.read_bytes() == whole.read_bytes()
    table, record = read_parquet(cut), read_json(cut.with_suffix(".provenance.json"))
    assert list(table.columns) == CANDIDATE_COLUMNS and table["prompt_id"].tolist() == [*"bbbaaaccc"]
    assert record["spec"]["n"] == 3 and len(record["inputs"]) == 5


def test_a_run_answers_with_the_best_and_its_tokens_are_those_of_all(sample, tmp_path):
    table, output = sample("sampled"), tmp_path / "responses.parquet"
    write_yaml({"method": "bon", "hyperparameters": {"n": 3}}, tmp_path / "run.yaml")
    choose = ["--spec", str(tmp_path / "run.yaml"), "--candidates", str(table), "--output", str(output)]
    choose_responses.main(choose)
    chosen, candidates = read_parquet(output), read_parquet(table)
    assert list(chosen.columns) == [*RESPONSE_COLUMNS, SAMPLED_TOKENS]
    assert chosen["prompt_id"].tolist() == FRAME["prompt_id"].tolist()
    scores = candidates.set_index(["prompt_id", "response"])["response_score"].groupby(level=[0, 1]).max()
    assert [scores[row.prompt_id, row.response] for row in chosen.itertuples()] == [
        candidates.loc[candidates["prompt_id"] == name, "response_score"].max() for name in chosen["prompt_id"]
    ]
    assert chosen[SAMPLED_TOKENS].sum() == candidates["response_tokens"].sum() > chosen["response_tokens"].sum()
    assert read_json(tmp_path / "responses.provenance.json")["inputs"].keys() == {
        str(tmp_path / "run.yaml"),
        str(table),
    }
