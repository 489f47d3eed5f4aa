"""A policy so small that every response can be written down, and the SAIL objective enumerated over all of them.

Two prompts; tokens a, b and an end; responses of at most two tokens: end, a·end, a·a, a·b, b·end, b·a, b·b. The logits
of each prefix are free parameters. Everything is float64, and the objective is written from its definition, with
nothing of `sail` in it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

# Responses as (prefix, token) steps; prefixes are 0: nothing, 1: a, 2: b; tokens are 0: a, 1: b, 2: end.
RESPONSES = [
    [(0, 2)],
    [(0, 0), (1, 2)],
    [(0, 0), (1, 0)],
    [(0, 0), (1, 1)],
    [(0, 1), (2, 2)],
    [(0, 1), (2, 0)],
    [(0, 1), (2, 1)],
]
# Rows of the dataset: prompt, chosen, rejected. Prompt 0 comes twice as often as prompt 1; one row has equal responses.
DATASET = [(0, 1, 4), (0, 3, 3), (1, 6, 0)]
PROMPT_SHARES = [2 / 3, 1 / 3]
# Rewards by prompt and response, with ties between different responses.
REWARDS = [[0.0, 1.0, 1.0, -2.0, 0.5, 0.5, 3.0], [2.0, 2.0, -1.0, 0.0, 0.0, 0.0, 1.5]]


def parameters(seed: int) -> torch.Tensor:
    """Logits by prompt, prefix and token, shape (2, 3, 3), wide enough that nothing is nearly uniform."""
    return torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def response_logps(theta: torch.Tensor) -> torch.Tensor:
    """log π(y|x) of every response, shape (2, 7)."""
    tokens = theta.log_softmax(-1)
    return torch.stack([torch.stack([sum(tokens[x][step] for step in y) for y in RESPONSES]) for x in range(2)])


@dataclass
class Mixture:
    """Shares r, p and g of the three routes, the weight of the reverse KL, and how DPR labels are drawn."""

    r: float = 0.0
    p: float = 0.0
    g: float = 0.0
    revkl: float = 0.0
    bernoulli: bool = False
    beta: float = 0.4

    def first_wins(self, x: int, a: int, b: int) -> float:
        """P(a is preferred to b) by the reward."""
        difference = REWARDS[x][a] - REWARDS[x][b]
        if self.bernoulli:
            return torch.tensor(difference, dtype=torch.float64).sigmoid().item()
        return 0.5 if difference == 0 else float(difference > 0)


def enumerated_objective(theta: torch.Tensor, reference: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """L(θ) with every expectation written out; differentiable wherever θ is in it, probabilities included."""
    s, s_ref = response_logps(theta), response_logps(reference)

    def loss(x, w, other):
        return -F.logsigmoid(mixture.beta * ((s[x, w] - s_ref[x, w]) - (s[x, other] - s_ref[x, other])))

    def labelled_by_policy(x, a, b):
        preference = torch.exp(-loss(x, a, b))
        return preference * loss(x, a, b) + (1 - preference) * loss(x, b, a)

    def labelled_by_reward(x, a, b):
        first = mixture.first_wins(x, a, b)
        return first * loss(x, a, b) + (1 - first) * loss(x, b, a)

    dpo = sum(loss(*row) for row in DATASET) / len(DATASET)
    ddp = sum(labelled_by_policy(*row) for row in DATASET) / len(DATASET)
    dpp = dpr = kl = 0.0
    for x, share in enumerate(PROMPT_SHARES):
        probabilities = s[x].exp()
        kl = kl + share * (probabilities * (s[x] - s_ref[x])).sum()
        for a in range(len(RESPONSES)):
            for b in range(len(RESPONSES)):
                weight = share * probabilities[a] * probabilities[b]
                dpp = dpp + weight * labelled_by_policy(x, a, b)
                dpr = dpr + weight * labelled_by_reward(x, a, b)
    offline = 1 - mixture.r - mixture.p - mixture.g
    return offline * dpo + mixture.r * ddp + mixture.p * dpp + mixture.g * dpr + mixture.revkl * kl


def outcomes(theta: torch.Tensor, mixture: Mixture, routes: dict[str, int]) -> tuple[torch.Tensor, ...]:
    """Every row that a training batch could have, and its probability.

    Args:
        routes: the numbers of the routes offline, ddp, dpp and dpr.

    Returns:
        Probability (float64, without gradient), route, prompt, chosen and rejected response; each of shape (rows,).
        The probabilities sum to 1.
    """
    probabilities = response_logps(theta).detach().exp()
    rows = []
    for row in DATASET:
        rows.append(((1 - mixture.r - mixture.p - mixture.g) / len(DATASET), routes["offline"], *row))
        rows.append((mixture.r / len(DATASET), routes["ddp"], *row))
    for x, share in enumerate(PROMPT_SHARES):
        for a in range(len(RESPONSES)):
            for b in range(len(RESPONSES)):
                pair = share * probabilities[x, a].item() * probabilities[x, b].item()
                first = mixture.first_wins(x, a, b)
                rows.append((mixture.p * pair, routes["dpp"], x, a, b))
                rows.append((mixture.g * pair * first, routes["dpr"], x, a, b))
                rows.append((mixture.g * pair * (1 - first), routes["dpr"], x, b, a))
    probability, *others = zip(*rows, strict=True)
    return torch.tensor(probability, dtype=torch.float64), *(torch.tensor(column) for column in others)
