"""The objective against numbers derived by hand, and its gradient against an enumeration of everything sampled.

By hand, for Δ = log 3: σ(Δ) = 3/4, ℓ = log(4/3) = 0.2876821, ℓ of the other label = log 4 = 1.3862944,
H = 3/4·log(4/3) + 1/4·log 4 = 0.5623351, dℓ/dΔ = −1/4, dH/dΔ = −Δ·σ(1 − σ) = −1.0986123·3/16 = −0.2059898.
"""

import math
from functools import partial

import pytest
import torch

from plugin import tabular
from sail.objective import (
    DDP,
    DPP,
    DPR,
    OFFLINE,
    divergence_scores,
    exact_terms,
    importance_weights,
    label_entropy,
    pair_loss,
    preference_margin,
    reverse_kl_terms,
    upstream_terms,
    weighted_terms,
)

LOG3 = math.log(3)
WEIGHTS = {"rho": 0.2, "pi": 0.4, "gamma": 0.3}


def column(*values):
    return torch.tensor(values, dtype=torch.float64)


def approx(values):
    return pytest.approx(values, rel=1e-6, abs=1e-9)


class Pair:
    """One pair with s_w = −2, s_l = −4 and, at β = 0.5, Δ = log 3 and so ∂Δ/∂s_w = 0.5, ∂Δ/∂s_l = −0.5."""

    def __init__(self):
        self.chosen, self.rejected = (column(value).requires_grad_() for value in (-2.0, -4.0))
        self.margin = preference_margin(self.chosen, self.rejected, column(-2 - 2 * LOG3), column(-4.0), beta=0.5)

    def total(self, terms):
        """The row's whole loss ℓ + terms, and its derivatives by s_w and s_l."""
        loss = pair_loss(self.margin) + terms
        chosen, rejected = torch.autograd.grad(loss.sum(), (self.chosen, self.rejected), retain_graph=True)
        return [loss.item(), chosen.item(), rejected.item()]


def test_margin_by_hand():
    # β·[(−10 + 11) − (−12 + 11.5)] = 0.1·1.5, and 0.1·[(−3 + 1) − (−5 + 9)] = 0.1·(−6)
    margin = preference_margin(column(-10, -3), column(-12, -5), column(-11, -1), column(-11.5, -9), beta=0.1)
    assert margin.tolist() == approx([0.15, -0.6])


def test_pair_loss_and_entropy_by_hand():
    margin = column(0.0, LOG3, -LOG3)
    assert pair_loss(margin).tolist() == approx([0.6931472, 0.2876821, 1.3862944])
    assert label_entropy(margin).tolist() == approx([0.6931472, 0.5623351, 0.5623351])


@pytest.mark.parametrize(
    ("divergence", "alpha", "expected"),
    [
        # f'(3) − f'(1/2): log 6; 2 − 1/3; log(3/4) − log(1/3); 2·(1/√½ − 1/√3) at α = ½; (9 − ¼)/2 at α = 3
        ("reverse_kl", 1.0, 1.7917595),
        ("forward_kl", 1.0, 1.6666667),
        ("js_divergence", 1.0, 0.8109302),
        ("alpha_divergence", 0.5, 1.6737266),
        ("alpha_divergence", 3.0, 4.375),
        ("alpha_divergence", 1.0, 1.7917595),
    ],
)
def test_implicit_rewards_of_the_divergences_by_hand(divergence, alpha, expected):
    first, second = divergence_scores(column(LOG3, -math.log(2)), divergence, alpha).tolist()
    assert first - second == approx(expected)


def test_slope_of_the_entropy_by_hand():
    margin = column(0.0, LOG3, -LOG3).requires_grad_()
    (slope,) = torch.autograd.grad(label_entropy(margin).sum(), margin)
    assert slope.tolist() == approx([0.0, -0.2059898, 0.2059898])


def test_extreme_margins_stay_finite():
    margin = column(1e4, -1e4).requires_grad_()
    total = pair_loss(margin) + label_entropy(margin)
    (slope,) = torch.autograd.grad(total.sum(), margin)
    assert total.tolist() == approx([0.0, 1e4]) and slope.tolist() == approx([0.0, -1.0])


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        # value ℓ; slopes β·(−1/4)
        (OFFLINE, [0.2876821, -0.125, 0.125]),
        # value H; slopes ρ·β·dH/dΔ = 0.2·0.5·(−0.2059898)
        (DDP, [0.5623351, -0.0205990, 0.0205990]),
        # value H; slopes ±π·β·dH/dΔ = ∓0.0411980, and π·(H − b) = 0.4·0.2623351 = 0.1049340 on both
        (DPP, [0.5623351, 0.0637361, 0.1461320]),
        # value ℓ; slopes ∓0.125, and γ·(ℓ − b) = 0.3·(−0.0123179) = −0.0036954 on both
        (DPR, [0.2876821, -0.1286954, 0.1213046]),
    ],
)
def test_exact_terms_by_hand(route, expected):
    pair = Pair()
    rows = (pair.margin, pair.chosen, pair.rejected, torch.tensor([route]))
    got = pair.total(exact_terms(*rows, baseline=column(0.3), **WEIGHTS))
    assert got == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize(
    ("route", "flipped", "expected"),
    [
        (OFFLINE, False, [0.2876821, -0.125, 0.125]),
        # F = −0.2876821, dF/dΔ = 1/4: value −F − ½·0.2·F²; slopes ∓½·¼·(1 + 0.2·F)
        (DDP, False, [0.2794060, -0.1178079, 0.1178079]),
        # F = −1.3862944, dF/dΔ = −3/4: value −F − ½·0.2·F²; slopes ±½·¾·(1 + 0.2·F)
        (DDP, True, [1.1941132, 0.2710279, -0.2710279]),
        # π = 0.4 in place of ρ, slopes ∓0.1106159; and −π·F/s: −0.4·0.2876821/2 and −0.4·0.2876821/4
        (DPP, False, [0.2711299, -0.1106159 - 0.0575364, 0.1106159 - 0.0287682]),
        # slopes ±½·¾·(1 − 0.4·1.3862944); and −π·F/s: −0.4·1.3862944/2 and /4
        (DPP, True, [1.0019320, 0.1670558 - 0.2772589, -0.1670558 - 0.1386294]),
        # plain DPO; and −γ·F/s: −0.3·0.2876821/2 and /4
        (DPR, False, [0.2876821, -0.125 - 0.0431523, 0.125 - 0.0215762]),
    ],
)
def test_upstream_terms_by_hand(route, flipped, expected):
    pair = Pair()
    rows = (pair.margin, pair.chosen, pair.rejected, torch.tensor([route]), torch.tensor([flipped]))
    assert pair.total(upstream_terms(*rows, **WEIGHTS)) == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize(
    ("route", "flipped", "expected"),
    [
        (DDP, False, [0.2794060, -0.1178079, 0.1178079]),
        # −8·0.4·0.2876821/2 and /4; the label part is not scaled
        (DPP, False, [0.2711299, -0.1106159 - 0.4602914, 0.1106159 - 0.2301457]),
        # −8·0.3·0.2876821/2 and /4
        (DPR, False, [0.2876821, -0.125 - 0.3452185, 0.125 - 0.1726093]),
    ],
)
def test_the_published_weight_of_the_upstream_response_part(route, flipped, expected):
    pair = Pair()
    rows = (pair.margin, pair.chosen, pair.rejected, torch.tensor([route]), torch.tensor([flipped]))
    assert pair.total(upstream_terms(*rows, **WEIGHTS, scale=8)) == pytest.approx(expected, abs=4e-7)


def test_the_upstream_label_part_is_right_in_expectation_over_the_policy_s_label():
    """Σ_label p_θ·(−∇F − ½∇F²) = ∇H: what the exact estimator writes in closed form."""
    pair = Pair()
    weights = {"rho": 1.0, "pi": 1.0, "gamma": 1.0}
    rows = (pair.margin, pair.chosen, pair.rejected, torch.tensor([DDP]))
    kept, flipped = (pair.total(upstream_terms(*rows, torch.tensor([flip]), **weights)) for flip in (False, True))
    exact = pair.total(exact_terms(*rows, baseline=column(0.0), **weights))
    assert [0.75 * a + 0.25 * b for a, b in zip(kept[1:], flipped[1:], strict=True)] == approx(exact[1:])


@pytest.mark.parametrize("certain", [0.0, -1e-45])
def test_a_response_of_probability_one_spoils_no_gradient(certain):
    """s = 0 stands in a denominator of the upstream estimator, in rows of other routes too."""
    chosen, rejected = column(certain, certain, -3).requires_grad_(), column(-4, certain, certain).requires_grad_()
    margin = preference_margin(chosen, rejected, column(-1, -1, -1), column(-1, -1, -1), beta=0.1)
    for route in (OFFLINE, DDP, DPP, DPR):
        routes, flipped = torch.full((3,), route), torch.tensor([False, True, False])
        terms = upstream_terms(margin, chosen, rejected, routes, flipped, **WEIGHTS)
        grads = torch.autograd.grad(terms.sum(), (chosen, rejected), retain_graph=True)
        assert terms.isfinite().all() and all(grad.isfinite().all() for grad in grads)


def test_reverse_kl_terms_by_hand():
    chosen, rejected = column(-2, -2).requires_grad_(), column(-4, -4).requires_grad_()
    on_policy = torch.tensor([True, False])
    # log-ratios 1.5 and −0.5: ¼·(2.25 + 0.25); slopes ½·1.5 and ½·(−0.5)
    terms = reverse_kl_terms(chosen, rejected, column(-3.5, -3.5), column(-3.5, -3.5), on_policy)
    assert terms.tolist() == approx([0.625, 0.0])
    slopes = torch.autograd.grad(terms.sum(), (chosen, rejected))
    assert [slope.tolist() for slope in slopes] == [approx([0.75, 0.0]), approx([-0.25, 0.0])]


def test_rows_do_not_touch_each_other():
    """Terms of a batch are those of its rows one by one."""
    generator = torch.Generator().manual_seed(0)
    chosen, rejected, margin, baseline = torch.randn(4, 8, dtype=torch.float64, generator=generator)
    chosen, rejected = -chosen.abs() - 1, -rejected.abs() - 1
    routes, flipped = torch.tensor([OFFLINE, DDP, DPP, DPR] * 2), torch.tensor([False] * 4 + [True] * 4)
    exact = exact_terms(margin, chosen, rejected, routes, baseline=baseline, **WEIGHTS)
    upstream = upstream_terms(margin, chosen, rejected, routes, flipped, **WEIGHTS)
    for i in range(8):
        one = slice(i, i + 1)
        rows = (margin[one], chosen[one], rejected[one], routes[one])
        assert exact_terms(*rows, baseline=baseline[one], **WEIGHTS).item() == approx(exact[i].item())
        assert upstream_terms(*rows, flipped[one], **WEIGHTS).item() == approx(upstream[i].item())


# The contract of the exact estimator: summed over everything that is drawn, it is the gradient of L(θ).

MIXTURES = {
    "dpo": tabular.Mixture(),
    "ddp": tabular.Mixture(r=1.0),
    "ddp-half": tabular.Mixture(r=0.5),
    "dpp": tabular.Mixture(p=1.0),
    "dpp-revkl": tabular.Mixture(p=1.0, revkl=0.7),
    "dpr-hard": tabular.Mixture(g=1.0),
    "dpr-bernoulli": tabular.Mixture(g=1.0, bernoulli=True),
    "dpr-revkl": tabular.Mixture(g=0.6, revkl=0.7),
    "mix": tabular.Mixture(r=0.2, p=0.3, g=0.1),
    "mix-bernoulli-revkl": tabular.Mixture(r=0.1, p=0.2, g=0.5, revkl=0.3, bernoulli=True),
}
BASELINES = {"zero": (0.0, 0.0), "log-two": (math.log(2), math.log(2)), "by-route": (-3.0, 5.0)}


def expected_estimate(theta, reference, mixture, baselines):
    """Σ over everything drawn of its probability (a constant) times the loss of that row; its gradient is judged."""
    probability, routes, x, w, lost = tabular.outcomes(
        theta, mixture, {"offline": OFFLINE, "ddp": DDP, "dpp": DPP, "dpr": DPR}
    )
    assert probability.sum().item() == pytest.approx(1)
    s, s_ref = tabular.response_logps(theta), tabular.response_logps(reference)
    logps = (s[x, w], s[x, lost])
    refs = (s_ref[x, w], s_ref[x, lost])
    margin = preference_margin(*logps, *refs, mixture.beta)
    baseline = torch.where(routes == DPP, baselines[0], baselines[1]).double()
    terms = exact_terms(margin, *logps, routes, rho=1.0, pi=1.0, gamma=1.0, baseline=baseline)
    if mixture.revkl:
        penalty = reverse_kl_terms(*logps, *refs, (routes == DPP) | (routes == DPR))
        terms = terms + mixture.revkl / (mixture.p + mixture.g) * penalty
    return (probability * (pair_loss(margin) + terms)).sum()


def test_the_enumeration_is_complete():
    s = tabular.response_logps(tabular.parameters(1))
    assert s.exp().sum(dim=1).tolist() == approx([1.0, 1.0])
    rewards = tabular.REWARDS[0]
    assert len(set(rewards)) < len(rewards), "ties between different responses belong to the test"
    assert any(w == lost for _, w, lost in tabular.DATASET), "so does a pair of equal responses"


@pytest.mark.parametrize("baselines", BASELINES.values(), ids=BASELINES)
@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_the_estimator_s_expectation_is_the_gradient_of_the_objective(mixture, baselines):
    theta, reference = tabular.parameters(1).requires_grad_(), tabular.parameters(2)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    (got,) = torch.autograd.grad(expected_estimate(theta, reference, mixture, baselines), theta)
    assert right.norm() > 1e-3
    assert (got - right).norm() <= 1e-6 * right.norm()
    torch.testing.assert_close(got, right, rtol=1e-6, atol=1e-9)


def test_dropping_pairs_of_equal_responses_would_bias_the_gradient():
    """Why the exact estimator keeps them: the same sum without them is far from the gradient."""
    mixture = MIXTURES["dpp"]
    theta, reference = tabular.parameters(1).requires_grad_(), tabular.parameters(2)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    probability, routes, x, w, lost = tabular.outcomes(
        theta, mixture, dict.fromkeys(("offline", "ddp", "dpr"), 0) | {"dpp": DPP}
    )
    probability = torch.where(w == lost, 0, probability)
    s, s_ref = tabular.response_logps(theta), tabular.response_logps(reference)
    margin = preference_margin(s[x, w], s[x, lost], s_ref[x, w], s_ref[x, lost], mixture.beta)
    terms = exact_terms(
        margin, s[x, w], s[x, lost], routes, rho=1.0, pi=1.0, gamma=1.0, baseline=torch.zeros_like(margin)
    )
    loss = (probability / probability.sum() * (pair_loss(margin) + terms)).sum()
    (got,) = torch.autograd.grad(loss, theta)
    assert (got - right).norm() > 0.05 * right.norm()


def test_a_bound_on_the_weights_loses_what_the_policy_prefers_most():
    """E_q[min(π/q, c)] = Σ min(π, c·q), and masked the pairs beyond c are missing; rows that nobody sampled count 1."""
    pi, q = (torch.tensor(p, dtype=torch.float64) for p in ([0.6, 0.3, 0.1], [0.2, 0.3, 0.5]))
    logps = pi.log() / 2
    weights = partial(importance_weights, logps, logps, q.log())
    torch.testing.assert_close(weights(), pi / q)
    assert (q * weights(high=2.0)).sum().item() == pytest.approx(torch.minimum(pi, 2 * q).sum().item())
    assert weights("sequence_mask", high=2.0).tolist() == pytest.approx([0, 1, 0.2])
    assert weights(low=0.5, high=2.0).tolist() == pytest.approx([2, 1, 0.5])
    assert weights("sequence_mask", low=0.5).tolist() == pytest.approx([3, 1, 0])
    mixed = importance_weights(logps, logps, torch.tensor([math.nan, 0.0, -1e6]), high=2.0)
    assert mixed[0] == 1 and mixed[2] == 2 and importance_weights(logps, logps, q.log() - 1e6).isfinite().all()
    margin, terms = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 0.2])
    total = pair_loss(margin) + weighted_terms(margin, terms, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(total, torch.tensor([2.0, 0.0]) * (pair_loss(margin) + terms))
