"""The gradient of a trainer, against the objective's and over the split of a batch."""

import math
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback

from plugin import tabular
from plugin.tiny import rows
from plugin.training import COLUMNS
from sail import SAILTrainer
from sail.baseline import VarianceBaseline
from sail.objective import DDP, DPP, DPR, OFFLINE, pair_loss, preference_margin


class Gradients(TrainerCallback):
    """Keeps the gradient of each optimizer step."""

    def __init__(self):
        self.steps = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.steps.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})


@pytest.mark.parametrize("estimator", ["exact", "upstream"])
@pytest.mark.parametrize(
    "shares",
    [{"r": 1.0}, {"r": 0.4}, {"p": 0.5}, {"g": 0.5}, {"r": 0.2, "p": 0.3, "g": 0.3, "revkl": 0.1, "rollout_reuse": 2}],
    ids=["ddp alone", "ddp", "dpp", "dpr", "mix"],
)
def test_accumulation_does_not_change_the_gradient(sail_trainer, shares, estimator):
    """Nor do routes, labels, sampled pairs or the running mean depend on how a step's rows are split."""
    # Away from the reference, where a DDP row has no gradient.
    data = Dataset.from_list([row | {COLUMNS[0]: -20.0 - i % 3, COLUMNS[1]: -25.0} for i, row in enumerate(rows(64))])

    def gradients(**changes):
        keeper = Gradients()
        settings = {"max_steps": 3, "max_grad_norm": 0.0, "learning_rate": 1e-4, "rho": 1.0, "pi": 1.0, "gamma": 1.0}
        settings |= {"estimator": estimator, "max_age": 0, "rollout_prompts": 16, **shares, **changes}
        sail_trainer(data, callbacks=[keeper], **settings).train()
        return [torch.cat([grad.flatten() for grad in step.values()]) for step in keeper.steps]

    one = gradients(per_device_train_batch_size=32)
    two = gradients(per_device_train_batch_size=8, gradient_accumulation_steps=4)
    assert len(one) == len(two) == 3
    # Later steps stand on weights that rounding has already moved apart.
    for total, other, tolerance in zip(one, two, (1e-5, 1e-2, 1e-2), strict=True):
        assert total.norm() > 1e-3
        assert (total - other).norm() <= tolerance * total.norm()


def test_ddp_rows_push_through_their_label_part_alone(sail_trainer):
    """Without its weight nothing is left of them, and at the reference, Δ = 0, it is itself zero."""
    away = Dataset.from_list([row | {COLUMNS[0]: -20.0, COLUMNS[1]: -25.0} for row in rows(16)])
    for data, rho, moves in ((away, 0.0, False), (None, 1.0, False), (away, 1.0, True)):
        keeper = Gradients()
        sail_trainer(data, callbacks=[keeper], r=1.0, rho=rho, max_steps=1).train()
        assert (max(grad.abs().max() for grad in keeper.steps[0].values()) > 1e-6) == moves


ROUTES = {"offline": OFFLINE, "ddp": DDP, "dpp": DPP, "dpr": DPR}
MIXTURES = {
    "ddp": tabular.Mixture(r=0.7),
    "dpp": tabular.Mixture(p=0.6, revkl=0.4),
    "dpr": tabular.Mixture(g=0.5, revkl=0.4),
    "mix": tabular.Mixture(r=0.2, p=0.3, g=0.1, revkl=0.7, bernoulli=True),
}


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_the_trainer_s_terms_have_the_objective_s_gradient_in_expectation(mixture):
    """What the trainer adds to a batch, over everything that could be drawn, against the enumerated objective."""
    theta, reference = tabular.parameters(3).requires_grad_(), tabular.parameters(4)
    probability, routes, x, w, lost = tabular.outcomes(theta, mixture, ROUTES)
    s, s_ref = tabular.response_logps(theta), tabular.response_logps(reference)
    inputs = {"ref_chosen_logps": s_ref[x, w], "ref_rejected_logps": s_ref[x, lost]}
    shares = {"r": mixture.r, "p": mixture.p, "g": mixture.g, "revkl": mixture.revkl, "beta": mixture.beta}
    names = SimpleNamespace(rho=1.0, pi=1.0, gamma=1.0, estimator="exact", has_dpo_loss=True, **shares)
    trainer = SimpleNamespace(
        args=names,
        _log=lambda *_: None,
        state=SimpleNamespace(global_step=1),
        _baseline=lambda margin, *_: torch.full_like(margin, 0.4),
    )
    terms = SAILTrainer._online_terms(trainer, inputs, routes, torch.arange(len(x)), s[x, w], s[x, lost])
    loss = pair_loss(preference_margin(s[x, w], s[x, lost], s_ref[x, w], s_ref[x, lost], mixture.beta))
    (got,) = torch.autograd.grad((probability * (loss + terms)).sum(), theta)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    assert (got - right).norm() <= 1e-6 * right.norm()


def sampled_elsewhere(mixture, bound=None):
    """Gradients in theta: of the weighted terms over pairs that q ≠ π samples, and of the enumerated objective."""
    theta, reference = tabular.parameters(3).requires_grad_(), tabular.parameters(4)
    q = tabular.parameters(3) + 0.5 * tabular.parameters(5)
    probability, routes, x, w, lost = tabular.outcomes(q, mixture, ROUTES)
    s, s_ref, s_q = (tabular.response_logps(each) for each in (theta, reference, q))
    drawn = (routes == DPP) | (routes == DPR)
    sampler_logps = torch.where(drawn, s_q[x, w] + s_q[x, lost], torch.nan)
    inputs = {"ref_chosen_logps": s_ref[x, w], "ref_rejected_logps": s_ref[x, lost]}
    shares = {"r": mixture.r, "p": mixture.p, "g": mixture.g, "revkl": mixture.revkl, "beta": mixture.beta}
    bounds = {"mode": "sequence_truncate", "clip_min": None, "clip_max": bound}
    names = {f"vllm_importance_sampling_{name}": value for name, value in bounds.items()}
    log = {}
    trainer = SimpleNamespace(
        args=SimpleNamespace(rho=1.0, pi=1.0, gamma=1.0, estimator="exact", has_dpo_loss=True, **shares, **names),
        _log=log.__setitem__,
        state=SimpleNamespace(global_step=1),
        _baseline=lambda margin, *_: torch.full_like(margin, 0.4),
    )
    trainer._importance_weights = lambda *logps: SAILTrainer._importance_weights(trainer, *logps)
    rows = inputs, routes, torch.arange(len(x)), s[x, w], s[x, lost]
    terms = SAILTrainer._online_terms(trainer, *rows, sampler_logps)
    loss = pair_loss(preference_margin(s[x, w], s[x, lost], s_ref[x, w], s_ref[x, lost], mixture.beta))
    (got,) = torch.autograd.grad((probability * (loss + terms)).sum(), theta, retain_graph=True)
    plain = SAILTrainer._online_terms(trainer, *rows)
    (unweighted,) = torch.autograd.grad((probability * (loss + plain)).sum(), theta)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    return got, unweighted, right


@pytest.mark.parametrize("mixture", [MIXTURES["dpp"], MIXTURES["dpr"], MIXTURES["mix"]], ids=["dpp", "dpr", "mix"])
def test_weights_make_another_sampler_s_pairs_the_policy_s_own(mixture):
    """Unbounded they meet the enumerated objective; with a bound, or without weights, they do not."""
    got, unweighted, right = sampled_elsewhere(mixture)
    assert (got - right).norm() <= 1e-6 * right.norm()
    assert (unweighted - right).norm() > 0.05 * right.norm()
    bounded, _, _ = sampled_elsewhere(mixture, bound=1.5)
    assert 1e-3 * right.norm() < (bounded - right).norm()


@pytest.mark.parametrize("estimator", ["upstream", "exact"])
def test_upstream_labels_are_flipped_as_often_as_the_policy_disagrees(estimator):
    """At Δ = log 9 the policy keeps a label with probability 9/10; DPR and offline rows are not its to label."""
    size, log = 4000, {}
    for route, share in ((DDP, 0.1), (DPP, 0.1), (DPR, 0.0), (OFFLINE, 0.0)):
        trainer = SimpleNamespace(
            args=SimpleNamespace(
                rho=0.2,
                pi=0.2,
                gamma=0.3,
                beta=0.5,
                estimator=estimator,
                upstream_scale=1.0,
                revkl=0.0,
                has_dpo_loss=True,
            ),
            _log=log.__setitem__,
            _labels=torch.Generator().manual_seed(0),
            _baseline=VarianceBaseline("mean"),
            state=SimpleNamespace(global_step=1),
        )
        trainer._draw_flips = lambda *rows, trainer=trainer: SAILTrainer._draw_flips(trainer, *rows)
        inputs = dict(zip(COLUMNS, torch.tensor([[-5 - 2 * math.log(9)], [-5.0]]).expand(2, size), strict=True))
        logps = torch.full((size,), -5.0)
        SAILTrainer._online_terms(trainer, inputs, torch.full((size,), route), torch.arange(size), logps, logps)
        error = math.sqrt(share * (1 - share) * size) if estimator == "upstream" else 1e-2
        assert log["sail/label_flips"] == pytest.approx(share * size, abs=3.5 * error), route
