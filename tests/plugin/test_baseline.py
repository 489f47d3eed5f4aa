"""The baseline of the response part: nothing of a row's own pair is in it, and the expectation stays the gradient."""

import math

import pytest
import torch

from plugin import tabular
from sail.baseline import VarianceBaseline
from sail.objective import DDP, DPP, DPR, OFFLINE, exact_terms, label_entropy, pair_loss, preference_margin

LOG2 = math.log(2)
KINDS = ("none", "mean", "leave-one-out")


def entropy(margin):
    return label_entropy(torch.tensor(margin)).item()


def loss(margin):
    return pair_loss(torch.tensor(margin)).item()


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_nothing_of_its_own_row(kind):
    routes = torch.tensor([DPP, DPR, DPP, DPR, DPP, DDP, OFFLINE])
    margin, pairs = torch.tensor([0.3, -0.2, 1.0, 0.5, -2.0, 0.1, 0.7]), torch.arange(7)
    baseline = VarianceBaseline(kind)(margin, routes, pairs, 1)
    for row in range(len(routes)):
        changed = margin.clone()
        changed[row] += 1.5
        assert VarianceBaseline(kind)(changed, routes, pairs, 1)[row].item() == pytest.approx(baseline[row].item())
    expected = {"none": [0.0] * 5, "mean": [LOG2] * 5}
    # Of each other row with the same route: the entropy on DPP rows, the loss on DPR rows.
    h, ell = [[function(m) for m in margin.tolist()] for function in (entropy, loss)]
    expected["leave-one-out"] = [(h[2] + h[4]) / 2, ell[3], (h[0] + h[4]) / 2, ell[1], (h[0] + h[2]) / 2]
    assert baseline.tolist() == pytest.approx([*expected[kind], 0.0, 0.0], abs=1e-6)


def test_a_pair_that_stands_for_several_rows_is_not_its_own_other_row():
    """Rows 0, 2 and 3 hold one pair: for them only row 1 is another; alone they have the running mean."""
    routes, margin = torch.full((4,), DPR), torch.tensor([0.3, -1.0, 0.3, 0.3])
    baseline = VarianceBaseline("leave-one-out")(margin, routes, torch.tensor([7, 8, 7, 7]), 1)
    assert baseline.tolist() == pytest.approx([loss(-1.0), loss(0.3), loss(-1.0), loss(-1.0)], abs=1e-6)
    alone = VarianceBaseline("leave-one-out")(margin, routes, torch.full((4,), 7), 1)
    assert alone.tolist() == pytest.approx([LOG2] * 4)


def test_the_mean_is_of_earlier_steps_however_their_batches_were_split():
    margin, routes, pairs = torch.tensor([math.log(3.0), -1.0, 0.5, 2.0]), torch.full((4,), DPR), torch.arange(4)
    whole, split = VarianceBaseline("mean"), VarianceBaseline("mean")
    mean = LOG2
    for step in range(3):
        expected = [pytest.approx(mean)] * 4
        assert whole(margin + step, routes, pairs, step).tolist() == expected
        halves = [split(margin[part] + step, routes[part], pairs[part], step) for part in (slice(1), slice(1, 4))]
        assert torch.cat(halves).tolist() == expected
        mean = 0.95 * mean + 0.05 * sum(loss(m + step) for m in margin.tolist()) / 4


def test_a_step_without_rows_of_a_route_leaves_its_mean():
    baseline, one = VarianceBaseline("mean"), torch.arange(1)
    for step, route in enumerate((DPR, OFFLINE, DPP, DPP)):
        baseline(torch.tensor([1.0]), torch.tensor([route]), one, step)
    baseline(torch.tensor([1.0]), torch.tensor([OFFLINE]), one, 9)
    once = 0.95 * LOG2 + 0.05 * loss(1.0)
    twice = 0.95 * (0.95 * LOG2 + 0.05 * entropy(1.0)) + 0.05 * entropy(1.0)
    assert baseline.means == pytest.approx({DPR: once, DPP: twice})


def test_its_state_goes_on_in_the_middle_of_a_step():
    margin, routes, pairs = torch.tensor([0.4, 2.0]), torch.tensor([DPR, DPP]), torch.arange(2)
    one, other = VarianceBaseline("mean"), VarianceBaseline("mean")
    one(margin, routes, pairs, 3)
    other.load_state_dict(one.state_dict())
    for step in (3, 4, 5):
        assert one(margin, routes, pairs, step).tolist() == other(margin, routes, pairs, step).tolist()
    assert one.means[DPR] != pytest.approx(LOG2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mixture", [tabular.Mixture(p=1.0), tabular.Mixture(g=1.0)], ids=["dpp", "dpr"])
def test_batches_of_two_rows_have_the_objective_s_gradient_in_expectation(mixture, kind):
    """Over every two rows that could be drawn together: with leave-one-out each is the other's baseline."""
    theta, reference = tabular.parameters(5).requires_grad_(), tabular.parameters(6)
    probability, routes, x, w, lost = tabular.outcomes(
        theta, mixture, {"offline": OFFLINE, "ddp": DDP, "dpp": DPP, "dpr": DPR}
    )
    possible = (probability > 0).nonzero()[:, 0]
    probability, routes, x, w, lost = (column[possible] for column in (probability, routes, x, w, lost))
    s, s_ref = tabular.response_logps(theta), tabular.response_logps(reference)
    logps = (s[x, w], s[x, lost])
    margin = preference_margin(*logps, s_ref[x, w], s_ref[x, lost], mixture.beta)
    # The baseline of row i beside row j, shape (rows, rows): the batch is [i, j].
    size = len(possible)
    beside = torch.zeros(size, size, dtype=torch.float64)
    for j in range(size):
        for i in range(0, size, 7):  # b does not depend on i itself, as the test above says; these are a sample
            rows = torch.tensor([i, j])
            beside[i, j] = VarianceBaseline(kind)(margin[rows].detach(), routes[rows], torch.tensor([0, 1]), 1)[0]
        assert beside[::7, j].unique().numel() == 1
        beside[:, j] = beside[0, j]
    expected_baseline = beside @ probability
    terms = exact_terms(margin, *logps, routes, rho=1.0, pi=1.0, gamma=1.0, baseline=expected_baseline)
    (got,) = torch.autograd.grad((probability * (pair_loss(margin) + terms)).sum(), theta)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    assert (got - right).norm() <= 1e-6 * right.norm()
