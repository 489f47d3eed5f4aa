"""The baseline b of the response part: it lowers the variance and leaves the expectation as it is."""

import math

import torch
from torch import Tensor

from sail.objective import DPP, DPR, label_entropy, pair_loss


class VarianceBaseline:
    """b per row of a batch, of which nothing comes from the row's own pair.

    Args:
        kind: "none": 0; "mean": a running mean of the route's losses over earlier optimizer steps; "leave-one-out": the
            mean over the batch's rows of the same route that hold other responses, else the running mean.
    """

    def __init__(self, kind: str):
        self.kind = kind
        # At the start the policy is the reference, Δ = 0 and ℓ = log 2 on every row.
        self.means = dict.fromkeys((DPP, DPR), math.log(2))
        self.step = 0
        self.sums = self._nothing()

    @staticmethod
    def _nothing() -> dict[int, tuple[float, int]]:
        return dict.fromkeys((DPP, DPR), (0.0, 0))

    def __call__(self, margin: Tensor, routes: Tensor, pairs: Tensor, step: int) -> Tensor:
        """b of each row, shape (B,).

        Args:
            margin: Δ, without gradient, shape (B,).
            routes: shape (B,).
            pairs: numbers of the rows' pairs, shape (B,): pairs that have a response in common have one number.
            step: the optimizer step that the batch belongs to, with other batches where gradients are accumulated.
        """
        if step != self.step:
            self._close_step(step)
        baseline = torch.zeros_like(margin)
        if self.kind == "none":
            return baseline
        losses = {DPP: label_entropy(margin), DPR: pair_loss(margin)}
        for route, loss in losses.items():
            rows = routes == route
            if not rows.any():
                continue
            baseline[rows] = self.means[route]
            if self.kind == "leave-one-out":
                # A row with one of the same responses is not another row: its loss depends on the row's own pair.
                others = (pairs[rows][:, None] != pairs[rows]).to(loss.dtype)
                count = others.sum(1)
                mean = others @ loss[rows] / count.clamp(min=1)
                baseline[rows] = torch.where(count > 0, mean, baseline[rows])
            total, size = self.sums[route]
            self.sums[route] = (total + loss[rows].sum().item(), size + int(rows.sum()))
        return baseline

    def _close_step(self, step: int):
        """Take the losses of the step that has ended into the running means."""
        for route, (total, size) in self.sums.items():
            if size:
                self.means[route] = 0.95 * self.means[route] + 0.05 * total / size
        self.step, self.sums = step, self._nothing()

    def state_dict(self) -> dict:
        """The means, and what of the present step is not yet in them."""
        return {"means": dict(self.means), "step": self.step, "sums": dict(self.sums)}

    def load_state_dict(self, state: dict) -> None:
        """Take up the numbers of `state_dict`."""
        self.means, self.step, self.sums = dict(state["means"]), state["step"], dict(state["sums"])
