"""The SAIL objective as pure functions: what a routed row adds to its DPO loss.

Source: Ding et al., "SAIL: Self-Improving Efficient Online Alignment of Large Language Models", arXiv 2406.15567. With
s_θ(x, y) = log π_θ(y|x) summed over the response's tokens, the end of sequence included,

    Δ = β · [(s_θ(x, w) − s_ref(x, w)) − (s_θ(x, l) − s_ref(x, l))]                                              (1)
    ℓ(Δ) = −log σ(Δ)                                              the DPO loss of a pair                         (2)
    L(θ) = E_x E_{(y1, y2) ~ q} E_{(w, l) ~ p} [ℓ(Δ)]             q, p: who responds, who labels                 (3)
    ∇L = E[∇ℓ] + E[ℓ · ∇log p_θ(w ≻ l)] + E[ℓ · (∇s_θ(x, w) + ∇s_θ(x, l))]                                       (4)

The second part of (4) is there where the policy labels (DDP, DPP), the third where the policy responds (DPP, DPR).

All functions are row-wise: tensors have shape (B,) for B pairs, log-probabilities are in nats, and what a function
returns is to be added to the row's ℓ(Δ) before the mean over the batch. Values are the objective's, gradients the
estimator's.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

OFFLINE, DDP, DPP, DPR = 0, 1, 2, 3
ROUTES = {DDP: "ddp", DPP: "dpp", DPR: "dpr"}


def preference_margin(
    chosen_logps: Tensor, rejected_logps: Tensor, ref_chosen_logps: Tensor, ref_rejected_logps: Tensor, beta: float
) -> Tensor:
    """Δ of equation 1, shape (B,): the policy's implicit reward of the chosen response minus the rejected one's."""
    return beta * ((chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps))


def pair_loss(margin: Tensor) -> Tensor:
    """ℓ of equation 2, shape (B,)."""
    return -F.logsigmoid(margin)


def divergence_scores(log_ratios: Tensor, divergence: str, alpha: float = 1.0) -> Tensor:
    """f'(t), t = π_θ/π_ref, up to a constant: the implicit reward over β with an f-divergence in place of the KL.

    The policy prefers the response with the higher one, p_θ(a ≻ b) = σ(β·(f'(t_a) − f'(t_b))); for the reverse KL,
    f(t) = t·log t, that is equation 1.

    Args:
        log_ratios: log π_θ/π_ref, any shape.
        divergence: `f_divergence_type` of `trl.DPOConfig`.
        alpha: of the α-divergence; the reverse KL at 1.
    """
    if divergence == "forward_kl":  # f = −log t
        return -torch.exp(-log_ratios)
    if divergence == "js_divergence":  # f = t·log t − (t + 1)·log((t + 1)/2)
        return F.logsigmoid(log_ratios)
    if divergence == "alpha_divergence" and abs(alpha - 1) >= 1e-6:
        return torch.exp((alpha - 1) * log_ratios) / (alpha - 1)
    return log_ratios


def label_entropy(margin: Tensor) -> Tensor:
    """Binary entropy of p_θ = σ(Δ) in nats, shape (B,): the expected ℓ when the policy itself draws the label."""
    preference = torch.sigmoid(margin)
    return preference * pair_loss(margin) + (1 - preference) * pair_loss(-margin)


def _gradient_only(value: Tensor) -> Tensor:
    """Zero with the gradient of `value`."""
    return value - value.detach()


def exact_terms(
    margin: Tensor,
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    routes: Tensor,
    *,
    rho: float,
    pi: float,
    gamma: float,
    baseline: Tensor,
) -> Tensor:
    """What the exact estimator adds to ℓ(Δ) of each row.

    Labels of the policy are not sampled: the expectation over the two is taken in closed form. Its DPO part is zero
    (the score of a distribution has mean zero), its label part is the gradient of the label's entropy H. So with the
    extra-gradient weights at 1 a row's gradient is, in expectation over its responses, that of equation 3:

        DDP   ρ·∇H
        DPP   π·∇H + π·(H − b)·(∇s_w + ∇s_l)
        DPR   ∇ℓ   + γ·(ℓ − b)·(∇s_w + ∇s_l)

    Args:
        margin: Δ of the pair as it stands in the batch, shape (B,).
        chosen_logps, rejected_logps: s_θ of the two responses, shape (B,).
        routes: OFFLINE, DDP, DPP or DPR per row, shape (B,), integers.
        rho, pi, gamma: weights of the extra gradient on DDP, DPP and DPR rows.
        baseline: b per row, shape (B,). Must not depend on the row's own responses, or the gradient is biased.

    Returns:
        Shape (B,); zero on offline rows.
    """
    loss, entropy = pair_loss(margin), label_entropy(margin)
    responses = _gradient_only(chosen_logps + rejected_logps)
    by_policy = entropy.detach() - loss
    ddp = by_policy + rho * _gradient_only(entropy)
    dpp = by_policy + pi * _gradient_only(entropy) + pi * (entropy.detach() - baseline) * responses
    dpr = gamma * (loss.detach() - baseline) * responses
    zero = torch.zeros_like(margin)
    return torch.where(routes == DDP, ddp, torch.where(routes == DPP, dpp, torch.where(routes == DPR, dpr, zero)))


def upstream_terms(
    margin: Tensor,
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    routes: Tensor,
    flipped: Tensor,
    *,
    rho: float,
    pi: float,
    gamma: float,
    scale: float = 1.0,
) -> Tensor:
    """What the published code's estimator adds to ℓ(Δ) of each row.

    With F = log σ(Δ) ≤ 0 of the pair as labelled, a DDP row's loss is −F − ½ρF², a DPP row's −F − ½πF²; and the
    gradient of DPP and DPR rows with respect to each response's s_θ gets −c·F/s_θ, c = scale·π or scale·γ, F and s_θ
    constant. This raises both likelihoods: it is not the response part of equation 4. Being inside the mean over rows,
    it does not grow with the batch size or the number of accumulation steps.

    Args:
        margin, chosen_logps, rejected_logps, routes, rho, pi, gamma: as in `exact_terms`.
        flipped: rows whose label, drawn from σ(Δ) by the policy, is the opposite of the batch's; shape (B,), bool.
        scale: factor of the second part. The published code adds it after the mean over 4 rows and in each of 2
            accumulation steps, so that its own weight is 8.

    Returns:
        Shape (B,); zero on offline rows.
    """
    log_preference = -pair_loss(torch.where(flipped, -margin, margin))
    relabelled = -log_preference - pair_loss(margin)
    constant = log_preference.detach()
    # A response of probability 1 has s_θ = 0 and no gradient: it must not divide by zero, in any row.
    below_zero = -torch.finfo(margin.dtype).eps
    responses = scale * _gradient_only(
        -(constant / chosen_logps.detach().clamp(max=below_zero)) * chosen_logps
        - (constant / rejected_logps.detach().clamp(max=below_zero)) * rejected_logps
    )
    ddp = relabelled - 0.5 * rho * log_preference**2
    dpp = relabelled - 0.5 * pi * log_preference**2 + pi * responses
    dpr = gamma * responses
    zero = torch.zeros_like(margin)
    return torch.where(routes == DDP, ddp, torch.where(routes == DPP, dpp, torch.where(routes == DPR, dpr, zero)))


def reverse_kl_terms(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    on_policy: Tensor,
) -> Tensor:
    """½(log π_θ/π_ref)² of the whole response, averaged over a row's two responses; zero off policy. Shape (B,).

    On the policy's own samples its gradient is, in expectation, that of KL(π_θ ‖ π_ref); its value is not the KL's.

    Args:
        chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps: summed log-probabilities, shape (B,).
        on_policy: rows whose responses the policy sampled, shape (B,), bool.
    """
    chosen, rejected = chosen_logps - ref_chosen_logps, rejected_logps - ref_rejected_logps
    return torch.where(on_policy, 0.25 * (chosen**2 + rejected**2), torch.zeros_like(chosen))


def importance_weights(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    sampler_logps: Tensor,
    mode: str = "sequence_truncate",
    low: float | None = None,
    high: float | None = None,
) -> Tensor:
    """π(y1)·π(y2) / (q(y1)·q(y2)) of pairs that q has sampled, without gradient, shape (B,).

    Without bounds E_q[weight · term] = E_π[term]. With an upper bound c, "sequence_truncate" gives E_π[min(1, c·q/π) ·
    term] instead: pairs that the policy prefers more than c times to the sampler count less, and the mean weight falls
    short of 1 by the probability that is lost so. "sequence_mask" leaves such pairs out. A lower bound, likewise, lets
    pairs that the policy has left count more, or leaves them out.

    Args:
        chosen_logps, rejected_logps: s_θ of the two responses, shape (B,).
        sampler_logps: log q(y1) + log q(y2), shape (B,); NaN on rows that no sampler made, whose weight is 1.
        mode: "sequence_truncate": a weight beyond a bound is the bound; "sequence_mask": it is 0.
        low, high: the bounds, None for none.
    """
    # e^80 is beyond every bound and can be represented.
    ratio = ((chosen_logps + rejected_logps).detach() - sampler_logps).clamp(max=80).exp()
    kept = ratio.clamp(low, high) if low is not None or high is not None else ratio
    weights = kept if mode == "sequence_truncate" else torch.where(kept == ratio, ratio, torch.zeros_like(ratio))
    return torch.where(sampler_logps.isnan(), torch.ones_like(ratio), weights)


def weighted_terms(margin: Tensor, terms: Tensor, weights: Tensor) -> Tensor:
    """What is to be added to ℓ(Δ) so that a row's loss and its terms both have its weight, shape (B,)."""
    return weights * terms + (weights - 1) * pair_loss(margin)
