"""More than two responses to a prompt: every two of them are a pair, or the best with the worst."""

from itertools import product
from types import SimpleNamespace

import pytest
import torch

from plugin import tabular
from plugin.training import completions_of, logged, logps, spy_on_batches
from sail import SAILConfig, SAILTrainer
from sail.objective import DDP, DPP, DPR, OFFLINE, pair_loss, preference_margin
from sail.rollouts import Rollouts, pairs_among

ROUTES = {"offline": OFFLINE, "ddp": DDP, "dpp": DPP, "dpr": DPR}


def outcomes_of(count, mixture, theta, extremes):
    """Every row of a batch whose pairs are of `count` responses, as `tabular.outcomes` gives those of two."""
    probabilities, rows = tabular.response_logps(theta).detach().exp(), []
    for (x, share), drawn in product(enumerate(tabular.PROMPT_SHARES), product(range(7), repeat=count)):
        rewards = tuple(tabular.REWARDS[x][y] for y in drawn)
        rollouts = Rollouts([x], [[y] for y in drawn], 1, [False] * count, [0.0] * count, rewards)
        pairs = pairs_among(rollouts, extremes, 0)
        chance = share * probabilities[x, list(drawn)].prod().item() / len(pairs)
        for pair in pairs:
            [a], [b] = pair.response_ids
            first = mixture.first_wins(x, a, b)
            rows.append((mixture.p * chance, DPP, x, a, b))
            rows.append((mixture.g * chance * first, DPR, x, a, b))
            rows.append((mixture.g * chance * (1 - first), DPR, x, b, a))
    probability, *others = zip(*rows, strict=True)
    return torch.tensor(probability, dtype=torch.float64), *(torch.tensor(column) for column in others)


def gradients(mixture, count, extremes=False):
    """In theta: of the trainer's rows in expectation, and of the enumerated objective."""
    theta, reference = tabular.parameters(3).requires_grad_(), tabular.parameters(4)
    probability, routes, x, w, lost = outcomes_of(count, mixture, theta, extremes)
    assert probability.sum().item() == pytest.approx(mixture.p + mixture.g)
    s, s_ref = tabular.response_logps(theta), tabular.response_logps(reference)
    args = {"rho": 1.0, "pi": 1.0, "gamma": 1.0, "estimator": "exact", "has_dpo_loss": True, "revkl": mixture.revkl}
    trainer = SimpleNamespace(
        args=SimpleNamespace(**args, p=mixture.p, g=mixture.g, r=0.0, beta=mixture.beta),
        _log=lambda *_: None,
        state=SimpleNamespace(global_step=1),
        _baseline=lambda margin, *_: torch.full_like(margin, 0.4),
    )
    inputs = {"ref_chosen_logps": s_ref[x, w], "ref_rejected_logps": s_ref[x, lost]}
    terms = SAILTrainer._online_terms(trainer, inputs, routes, torch.arange(len(x)), s[x, w], s[x, lost])
    loss = pair_loss(preference_margin(s[x, w], s[x, lost], s_ref[x, w], s_ref[x, lost], mixture.beta))
    (got,) = torch.autograd.grad((probability * (loss + terms)).sum(), theta)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    return got, right


@pytest.mark.parametrize(
    ("mixture", "count"),
    [
        (tabular.Mixture(g=1.0), 2),
        (tabular.Mixture(g=1.0), 3),
        (tabular.Mixture(p=1.0, revkl=0.4), 3),
        (tabular.Mixture(p=0.6, g=0.4, revkl=0.7, bernoulli=True), 3),
    ],
    ids=["two", "dpr", "dpp", "mix"],
)
def test_all_pairs_have_the_objective_s_gradient_in_expectation(mixture, count):
    got, right = gradients(mixture, count)
    assert (got - right).norm() <= 1e-6 * right.norm()


def test_the_best_with_the_worst_have_another_gradient():
    got, right = gradients(tabular.Mixture(g=1.0), 3, extremes=True)
    assert (got - right).norm() > 0.1 * right.norm()


def test_every_response_is_scored_once_and_all_pairs_wait_in_the_pool(sail_trainer, tokenizer):
    asked = []

    def reward(prompts, completions, **columns):
        asked.append(list(zip(prompts, completions, strict=True)))
        return [float(len(completion)) for completion in completions]

    trainer = sail_trainer(g=1.0, rollout_responses=3, rollout_prompts=6, reward_funcs=reward)
    trainer._refill()
    pairs = list(trainer.pool.pairs)
    assert len(pairs) == len(trainer.pool) == 18 and [len(texts) for texts in asked] == [18]
    assert trainer.used_share() == 0 and trainer.rollout_tokens < sum(len(i) for p in pairs for i in p.response_ids)
    assert [pair.group for pair in pairs] == [*range(6)] * 3  # the pairs of a prompt do not follow each other
    for group in range(6):
        one, two, three = (pair for pair in pairs if pair.group == group)
        assert one.response_ids[0] == two.response_ids[0] and one.response_ids[1] == three.response_ids[0]
        assert two.response_ids[1] == three.response_ids[1]
        for pair in (one, two, three):
            lengths = [float(len(tokenizer.decode(ids, skip_special_tokens=True))) for ids in pair.response_ids]
            assert list(pair.rewards) == lengths
            right = [logps(trainer.model, tokenizer, pair.prompt_ids, ids) for ids in pair.response_ids]
            assert list(pair.ref_logps) == pytest.approx(right, abs=1e-3)


def test_pairs_of_the_same_responses_are_no_others_to_the_baseline(sail_trainer):
    trainer = sail_trainer(g=1.0, rollout_responses=4, rollout_prompts=2, max_steps=2, baseline="leave-one-out")
    seen = spy_on_batches(trainer)
    trainer.train()
    for batch, of in zip(seen, (2, 4), strict=True):  # the second has what is left of the first two prompts' pairs
        prompts = [tuple(completions_of(batch.after, row)[0]) for row in range(8)]
        numbers = batch.pairs.tolist()
        assert len(set(numbers)) == len(set(prompts)) == len(set(zip(numbers, prompts, strict=True))) == of


def test_extremes_are_the_best_with_the_worst(sail_trainer):
    trainer = sail_trainer(g=1.0, rollout_responses=5, rollout_pairs="extremes", rollout_prompts=6)
    sampled, sample = [], trainer._sample_pairs

    def keeping(rows):
        rollouts, pairs = sample(rows)
        sampled.extend(rollouts)
        return rollouts, pairs

    trainer._sample_pairs = keeping
    trainer._refill()
    pairs = list(trainer.pool.pairs)
    assert len(pairs) == len(sampled) == 6
    for pair, rollouts in zip(pairs, sampled, strict=True):
        assert len(rollouts.response_ids) == 5
        assert pair.rewards == (max(rollouts.rewards), min(rollouts.rewards)) and pair.preferred in (0, 1)
        assert pair.tied or pair.preferred == 0
    trainer.train()
    assert sum(logged(trainer, "sail/rows_dpr")) > 0


def test_extremes_that_tie_stand_for_no_row(sail_trainer):
    def equal(prompts, completions, **columns):
        return [1.0] * len(completions)

    trainer = sail_trainer(g=0.5, rollout_responses=3, rollout_pairs="extremes", reward_funcs=equal)
    assert trainer._next_pair(DPR) is None
    trainer = sail_trainer(g=0.5, rollout_responses=3, reward_funcs=equal)
    assert trainer._next_pair(DPR).tied  # a fair coin, which the exact gradient needs


@pytest.mark.parametrize(
    ("rewards", "extremes"),
    [
        ((1.0, 3.0, 2.0), (1, 0)),
        ((2.0, 2.0, 2.0), (0, 2)),
        ((None, 1.0, 5.0, None), (2, 1)),
        (None, None),
    ],
)
def test_extremes_of_rewards(rewards, extremes):
    count = len(rewards or "abc")
    rollouts = Rollouts([1], [[i] for i in range(count)], 0, [False] * count, [0.0] * count, rewards)
    assert rollouts.extremes() == extremes
    pairs = pairs_among(rollouts, True, 7)
    assert [pair.response_ids for pair in pairs] == ([] if extremes is None else [([extremes[0]], [extremes[1]])])


def test_a_pair_of_a_response_without_a_reward_has_none():
    rollouts = Rollouts([1], [[0], [1], [2]], 0, [False] * 3, [0.0] * 3, (1.0, None, 2.0))
    assert [pair.rewards for pair in pairs_among(rollouts, False, 0)] == [None, (1.0, 2.0), None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"g": 0.5, "rollout_responses": 1}, "rollout_responses must be a whole number of at least 2, not 1"),
        ({"g": 0.5, "rollout_responses": 2.5}, "rollout_responses must be a whole number of at least 2, not 2.5"),
        ({"g": 0.5, "rollout_pairs": "best"}, "rollout_pairs must be one of all, extremes, not 'best'"),
        *(
            ({**shares, "rollout_responses": 4, "rollout_pairs": "extremes"}, "are the reward's choice, for DPR rows")
            for shares in ({"p": 0.5}, {"p": 0.2, "g": 0.2}, {"g": 0.2, "revkl": 0.1})
        ),
    ],
)
def test_what_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        SAILConfig(str(tmp_path), use_cpu=True, bf16=False, **changes)
