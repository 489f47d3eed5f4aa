"""Several responses to each prompt: each is drawn by itself, and all are scored and ranked the same every time."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from fixtures_endpoint import Answer, Endpoint
from fixtures_models import chat_tokenizer, cpu_device, tiny_chat_model, trunk_config
from transformers import AutoModelForSequenceClassification

from pipeline.columns.candidates import CANDIDATE_COLUMNS
from pipeline.generation.candidates import sample_candidates, score_candidates
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint
from pipeline.rewards.ranking import best, ranked
from pipeline.rewards.scorer import RewardModel

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


def test_scores_are_the_reward_model_s(policy, tmp_path):
    tokenizer = chat_tokenizer()
    torch.manual_seed(1)
    config = trunk_config("qwen2", tokenizer)
    config.num_labels, config.text_format = 1, "chat_template"
    save_checkpoint(AutoModelForSequenceClassification.from_config(config), tokenizer, tmp_path / "reward")
    reward, table = RewardModel(str(tmp_path / "reward"), {"reverse": False}, cpu_device(4)), sampled(policy)
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
