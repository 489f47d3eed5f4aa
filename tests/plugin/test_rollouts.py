import itertools
import math
import random
from types import SimpleNamespace

import pytest
import torch
from transformers import GenerationConfig

from plugin.tiny import WORDS, new_model
from sail import generation
from sail.generation import cut_at_end, sample_responses
from sail.rollouts import RolloutPair, RolloutPool, label_by_reward, prompt_order

END = 1


def pair(step=0, rewards=None, responses=((5, END), (6, END)), **fields):
    return RolloutPair([2, 3], tuple(list(ids) for ids in responses), step, rewards=rewards, **fields)


# ends


@pytest.mark.parametrize(
    ("ids", "ends", "cut"),
    [
        ([4, 5, 1, 0, 0], [1], [4, 5, 1]),
        ([4, 5, 1, 1, 1], [1], [4, 5, 1]),
        ([4, 5, 6], [1], [4, 5, 6]),
        ([1, 4], [1], [1]),
        ([4, 7, 1], [1, 7], [4, 7]),
        ([4, 0, 5], [1], [4, 0, 5]),
        ([], [1], []),
    ],
)
def test_a_response_ends_with_its_first_end_token(ids, ends, cut):
    assert cut_at_end(ids, ends) == cut


# the order of prompts


def test_each_pass_is_a_permutation_of_the_process_s_share():
    order = prompt_order(10, seed=3, rank=0, processes=1)
    passes = [[next(order) for _ in range(10)] for _ in range(3)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3


def test_processes_have_disjoint_shares_that_cover_the_dataset():
    shares = []
    for rank in range(3):
        order = prompt_order(10, seed=3, rank=rank, processes=3)
        size = len(range(rank, 10, 3))
        passes = [[next(order) for _ in range(size)] for _ in range(2)]
        assert sorted(passes[0]) == sorted(passes[1])
        shares.append(set(passes[0]))
    assert set.union(*shares) == set(range(10)) and sum(map(len, shares)) == 10


def test_the_order_depends_on_the_seed_alone():
    def first(**changes):
        arguments = {"size": 50, "seed": 3, "rank": 0, "processes": 1} | changes
        return list(itertools.islice(prompt_order(**arguments), 120))

    assert first() == first()
    assert first() != first(seed=4)


def test_more_processes_than_rows_still_get_rows():
    order = prompt_order(2, seed=0, rank=3, processes=4)
    assert sorted(itertools.islice(order, 2)) == [0, 1]


# the pool


def test_the_pool_gives_the_oldest_pair_first():
    pool = RolloutPool(max_age=8)
    pool.extend([pair(0, responses=((i,), (i,))) for i in range(3)])
    pool.extend([pair(1, responses=((3,), (3,)))])
    assert [pool.take().response_ids[0] for _ in range(4)] == [[0], [1], [2], [3]]
    assert len(pool) == 0


def test_a_pair_is_used_again_after_all_others():
    pool = RolloutPool(max_age=8, reuse=2)
    pool.extend([pair(0, responses=((i,), (i,))) for i in range(3)])
    assert len(pool) == 6
    given = [pool.take() for _ in range(5)]
    assert [(p.response_ids[0], p.uses) for p in given[:1]] == [([0], 2)]  # the same object, used again since
    assert [p.response_ids[0] for p in given] == [[0], [1], [2], [0], [1]]
    assert len(pool) == 1
    other = RolloutPool(max_age=8, reuse=2)
    other.load_state_dict(pool.state_dict())
    assert len(other) == 1 and other.take().uses == 2 and len(other) == 0


def test_pairs_older_than_the_age_are_dropped_and_no_others():
    pool = RolloutPool(max_age=2)
    for step in (0, 0, 1, 3):
        pool.extend([pair(step)])
    assert (pool.drop_stale(2), len(pool)) == (0, 4)
    assert (pool.drop_stale(3), len(pool)) == (2, 2)
    assert (pool.drop_stale(4), len(pool)) == (1, 1)
    assert pool.take().step == 3


def test_age_zero_keeps_only_the_pairs_of_the_step_itself():
    pool = RolloutPool(max_age=0)
    pool.extend([pair(5), pair(5)])
    assert pool.drop_stale(5) == 0
    assert pool.drop_stale(6) == 2 and len(pool) == 0


# labels


def share_of_first(draw, rewards, size=4000):
    pairs = [pair(rewards=rewards) for _ in range(size)]
    label_by_reward(pairs, draw, random.Random(7))
    return sum(one.preferred == 0 for one in pairs) / size


@pytest.mark.parametrize(("rewards", "preferred"), [((1.0, 0.999), 0), ((-2.0, 3.0), 1), ((0.0, 1e-9), 1)])
def test_a_hard_label_is_the_higher_reward(rewards, preferred):
    assert share_of_first("hard", rewards, size=50) == 1 - preferred


@pytest.mark.parametrize(
    ("draw", "rewards", "probability"),
    [
        ("hard", (0.5, 0.5), 0.5),
        ("bernoulli", (0.5, 0.5), 0.5),
        ("bernoulli", (math.log(3), 0.0), 0.75),
        ("bernoulli", (1.0, 1 + math.log(9)), 0.1),
    ],
)
def test_ties_are_a_fair_coin_and_bernoulli_labels_are_drawn_from_sigma(draw, rewards, probability):
    error = math.sqrt(probability * (1 - probability) / 4000)
    assert share_of_first(draw, rewards) == pytest.approx(probability, abs=3.5 * error)


def test_the_coin_of_one_pair_does_not_depend_on_the_rewards_of_another():
    tied = []
    for other in ((1.0, 0.0), (0.0, 0.0)):
        pairs = [pair(rewards=other), *(pair(rewards=(2.0, 2.0)) for _ in range(20))]
        label_by_reward(pairs, "hard", random.Random(1))
        tied.append([one.preferred for one in pairs[1:]])
    assert tied[0] == tied[1]


@pytest.mark.parametrize(
    ("by_reward", "preferred", "chosen"), [(False, None, 0), (False, 1, 0), (True, 0, 0), (True, 1, 1)]
)
def test_an_example_has_the_preferred_response_and_its_reference_as_chosen(by_reward, preferred, chosen):
    example = pair(ref_logps=(-1.0, -2.0), preferred=preferred).as_example(by_reward)
    assert example == {
        "prompt_ids": [2, 3],
        "chosen_ids": [5 + chosen, END],
        "rejected_ids": [6 - chosen, END],
        "ref_chosen_logps": -1.0 - chosen,
        "ref_rejected_logps": -2.0 + chosen,
    }


def test_what_is_identical_and_what_is_tied():
    assert pair(responses=((5, END), (5, END))).identical and not pair().identical
    assert not pair().tied
    assert pair(rewards=(1.0, 1.0)).tied and not pair(rewards=(1.0, 2.0)).tied


# sampling

SETTINGS = {"max_new_tokens": 6, "temperature": 1.0, "top_p": 1.0, "batch_size": 3}


def sample(model, prompts, tokenizer, seed=0, **changes):
    torch.manual_seed(seed)
    settings = {"pad_token_id": tokenizer.pad_token_id, "eos_token_ids": [tokenizer.eos_token_id]} | SETTINGS | changes
    return sample_responses(model, prompts, **settings)


@pytest.fixture
def model(tokenizer):
    return new_model(tokenizer)


@pytest.fixture
def prompts(tokenizer):
    """Prompts of different lengths, not sorted by them."""
    texts = ["red big cat", "dog", "old tree green boat", "new", "blue house small red cat dog", "big boat"]
    return [tokenizer(text)["input_ids"] for text in texts]


class Rigged:
    """Answers a prompt with its first token plus its length, twice, then an end and rubbish. Keeps what it is given."""

    def __init__(self, pad):
        self.pad, self.calls = pad, []
        self.generation_config = GenerationConfig()

    def parameters(self):
        yield torch.zeros(1)

    def generate(self, input_ids, attention_mask, **settings):
        self.calls.append({"input_ids": input_ids, "attention_mask": attention_mask, **settings})
        answers = []
        for ids, mask in zip(input_ids, attention_mask, strict=True):
            prompt = ids[mask.bool()]
            answer = prompt[0] + len(prompt)
            answers.append(torch.tensor([answer, answer, END, 9, self.pad]))
        return SimpleNamespace(sequences=torch.cat([input_ids, torch.stack(answers)], dim=1), past_key_values=None)


def test_responses_stand_in_the_order_of_their_prompts():
    lengths = [3, 1, 5, 2, 2, 7, 1]
    prompts = [[10 * (i + 1)] * length for i, length in enumerate(lengths)]
    model, ended = Rigged(pad=0), []
    got = sample_responses(model, prompts, pad_token_id=0, eos_token_ids=[END], **SETTINGS, on_ended=ended.append)
    assert got == [[10 * (i + 1) + length] * 2 + [END] for i, length in enumerate(lengths)] and ended == [3, 3, 1]
    assert [len(call["input_ids"]) for call in model.calls] == [3, 3, 1]


def test_prompts_are_padded_on_the_left_even_where_they_hold_the_pad_token():
    model = Rigged(pad=0)
    sample_responses(model, [[0, 7, 0], [8]], pad_token_id=0, eos_token_ids=[END], **SETTINGS)
    (call,) = model.calls
    assert call["input_ids"].tolist() == [[0, 0, 8], [0, 7, 0]]
    assert call["attention_mask"].tolist() == [[0, 0, 1], [1, 1, 1]]


def test_responses_end_with_an_end_or_have_the_most_tokens(model, tokenizer, prompts):
    ends = [tokenizer.eos_token_id, *range(40, 80)]
    responses = sample(model, prompts * 20, tokenizer, eos_token_ids=ends)
    lengths = {len(response) for response in responses}
    assert 6 in lengths and len(lengths) > 3
    for response in responses:
        assert not set(response[:-1]) & set(ends)
        assert response[-1] in ends or len(response) == 6


def test_a_pad_token_that_is_the_end_token_is_kept_once(model, tokenizer, prompts):
    end = sample(model, prompts[:1], tokenizer)[0][2]
    (response,) = sample(model, prompts[:1], tokenizer, eos_token_ids=[end], pad_token_id=end)
    assert response[-1] == end and response.count(end) == 1 and len(response) <= 3


def test_sampling_depends_on_the_seed(model, tokenizer, prompts):
    assert sample(model, prompts, tokenizer) == sample(model, prompts, tokenizer)
    assert sample(model, prompts, tokenizer) != sample(model, prompts, tokenizer, seed=1)


def with_logits(model):
    """The model, and a list that gets the raw logits of each generated token, shape (batch, tokens, vocabulary)."""
    kept = []

    def generate(**settings):
        output = model.generate(**settings, output_logits=True)
        kept.append(torch.stack(output.logits, dim=1))
        return output

    given = {"parameters": model.parameters, "generation_config": model.generation_config}
    return SimpleNamespace(generate=generate, **given), kept


def test_padding_and_company_change_neither_logits_nor_greedy_responses(model, tokenizer, prompts):
    together, logits = with_logits(model)
    responses = sample(together, prompts, tokenizer, do_sample=False, batch_size=len(prompts))
    by_length = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    for place, row in enumerate(by_length):
        alone, own = with_logits(model)
        assert sample(alone, [prompts[row]], tokenizer, do_sample=False) == [responses[row]]
        tokens = own[0].size(1)
        torch.testing.assert_close(logits[0][place, :tokens], own[0][0], rtol=1e-4, atol=1e-5)
    assert len({tuple(response) for response in responses}) == len(prompts), "the answers must depend on the prompts"


@pytest.mark.parametrize("do_sample", [True, False])
def test_equal_prompts_are_computed_once_and_change_no_response(model, tokenizer, prompts, monkeypatch, do_sample):
    prompts = [[70, *ids] for ids in prompts]
    doubled = [ids for ids in prompts for _ in range(2)]
    settings = {"do_sample": do_sample, "batch_size": len(doubled), "max_new_tokens": 9, "seed": 3}
    fed = []
    model.register_forward_pre_hook(lambda module, args, given: fed.append(given["input_ids"].shape), with_kwargs=True)
    together, logits = with_logits(model)
    shared = sample(together, doubled, tokenizer, **settings)
    width = max(map(len, prompts))
    assert fed[:2] == [(len(prompts), width - 1), (len(doubled), 1)]
    monkeypatch.setattr(generation, "_shared_cache", lambda *_: None)
    apart, own = with_logits(model)
    assert sample(apart, doubled, tokenizer, **settings) == shared
    torch.testing.assert_close(logits[1], own[0], rtol=1e-4, atol=1e-5)  # the first is that of the shared part
    assert (shared[::2] == shared[1::2]) != do_sample


@pytest.mark.parametrize("prompts", [[[70], [70]], [[70], [71, 72], [70]], [[0, 70, 71], [70, 71], [70, 71]]])
def test_equal_prompts_may_be_of_one_token_or_hold_the_pad_token(model, tokenizer, prompts):
    pad = 0
    settings = {"do_sample": False, "pad_token_id": pad, "batch_size": len(prompts)}
    together = sample(model, prompts, tokenizer, **settings)
    assert together == [sample(model, [ids], tokenizer, **settings)[0] for ids in prompts]


@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_ended_sequences_leave_the_batch_and_the_rest_goes_on(model, tokenizer, prompts, monkeypatch, tokens):
    ends = [tokenizer.eos_token_id, *range(40, 80)]
    kept = {"eos_token_ids": ends, "do_sample": False, "max_new_tokens": 9, "batch_size": len(prompts)}
    model.generation_config.use_cache = False  # as a checkpoint of a training with gradient checkpointing says
    monkeypatch.setattr(generation, "TOKENS_PER_CALL", 9)
    whole = sample(model, prompts, tokenizer, **kept)
    assert len({len(response) for response in whole}) > 2, "the responses must end at different places"
    monkeypatch.setattr(generation, "TOKENS_PER_CALL", tokens)
    together, logits = with_logits(model)
    assert sample(together, prompts, tokenizer, **kept) == whole
    still_open = [sum(len(response) > made for response in whole) for made in range(0, 9, tokens)]
    assert [len(call) for call in logits] == [count for count in still_open if count]


def test_a_checkpoint_that_asks_for_a_cache_of_fixed_size_can_be_sampled_from(model, tokenizer, prompts):
    doubled = [ids for ids in prompts for _ in range(2)]
    responses = sample(model, doubled, tokenizer, batch_size=4)
    model.generation_config.cache_implementation = "static"
    assert sample(model, doubled, tokenizer, batch_size=4) == responses
    assert model.generation_config.cache_implementation == "static"


def test_almost_cold_sampling_is_greedy(model, tokenizer, prompts):
    greedy = sample(model, prompts, tokenizer, do_sample=False)
    assert sample(model, prompts, tokenizer, temperature=1e-4) == greedy
    assert sample(model, prompts, tokenizer) != greedy


def test_samples_come_from_the_policy_itself(model, tokenizer, prompts):
    """At temperature 1, whatever decoding the checkpoint's own generation config asks for."""
    changes = {"do_sample": True, "temperature": 0.3, "top_k": 3, "top_p": 0.4, "repetition_penalty": 1.7}
    changes |= {
        "use_cache": False,
        "max_time": 1e-9,
        "min_p": 0.2,
        "typical_p": 0.5,
        "no_repeat_ngram_size": 1,
        "min_new_tokens": 3,
    }
    prompt, size = prompts[0], 4000
    with torch.no_grad():
        probabilities = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    # The most likely token is made the end, so that a minimum length would hold it back.
    top = probabilities.topk(8).indices.tolist()
    model.generation_config.update(**changes, suppress_tokens=top[1:2])
    responses = sample(
        model, [prompt] * size, tokenizer, batch_size=size, max_new_tokens=1, eos_token_ids=[top[0]], seed=4
    )
    shares = torch.bincount(torch.tensor([response[0] for response in responses]), minlength=len(tokenizer)) / size
    rest = [token for token in range(len(tokenizer)) if token not in top]
    for tokens in [[token] for token in top] + [rest]:
        p = probabilities[tokens].sum().item()
        assert 0.001 < p < 0.999
        assert shares[tokens].sum().item() == pytest.approx(p, abs=3.5 * math.sqrt(p * (1 - p) / size))


def test_the_words_of_the_tests_are_known_to_the_tokenizer(tokenizer):
    text = " ".join(WORDS)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
