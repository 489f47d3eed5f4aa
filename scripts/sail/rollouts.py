"""Responses sampled from the policy, and pairs of them: their rewards and labels, and the pool that they wait in.

Token ids all the way: text exists for reward functions only.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import torch

RewardFunction = Callable[..., Any]

# Columns of a prepared row that reward functions do not get, besides prompt and completions by their own names.
TRAINING_COLUMNS: tuple[str, ...] = ("prompt", "chosen", "rejected", "prompt_ids", "chosen_ids", "rejected_ids")
TRAINING_COLUMNS += ("ref_chosen_logps", "ref_rejected_logps")


@dataclass
class Rollouts:
    """Responses of the policy to one prompt, each drawn by itself.

    Attributes:
        prompt_ids: the prompt's token ids.
        response_ids: the responses' token ids.
        step: the optimizer step whose policy sampled them.
        cut: which of them have no end, as they were cut at the most tokens.
        ref_logps: the reference's summed log-probabilities, in nats, once they are known.
        rewards: theirs (higher is better), None of one that no reward function applies to; None as a whole where no
            reward function is at hand, or none applies to two of them.
        sampler_logps: their summed log-probabilities as they were sampled, in nats; None where the sampler does not
            tell them.
    """

    prompt_ids: list[int]
    response_ids: list[list[int]]
    step: int
    cut: list[bool]
    ref_logps: list[float]
    rewards: tuple[float | None, ...] | None = None
    sampler_logps: list[float] | None = None

    def pair(self, first: int, second: int, group: int | None = None) -> "RolloutPair":
        """The pair of two of them."""

        def both(values: Sequence | None) -> Any:
            return None if values is None else (values[first], values[second])

        rewards = both(self.rewards)
        return RolloutPair(
            self.prompt_ids,
            both(self.response_ids),
            self.step,
            both(self.ref_logps),
            None if rewards is None or None in rewards else rewards,
            cut=both(self.cut),
            sampler_logps=both(self.sampler_logps),
            group=group,
        )

    def extremes(self) -> tuple[int, int] | None:
        """Which have the highest and the lowest reward, of equal ones the first and the last; None without rewards."""
        scored = [place for place, reward in enumerate(self.rewards or ()) if reward is not None]
        if not scored:
            return None
        ordered = sorted(scored, key=lambda place: -self.rewards[place])  # type: ignore[index,operator]
        return ordered[0], ordered[-1]


def pairs_among(rollouts: Rollouts, extremes: bool, group: int) -> list["RolloutPair"]:
    """Every two of the responses to a prompt as a pair, or the best with the worst by reward.

    Each pair of the first kind is, by itself, two independent draws of the policy; one of the second kind is not, and
    there is none where nothing has a reward.

    Args:
        group: a number that other prompts' pairs do not have.
    """
    if not extremes:
        return [rollouts.pair(*places, group) for places in combinations(range(len(rollouts.response_ids)), 2)]
    places = rollouts.extremes()
    return [] if places is None else [rollouts.pair(*places, group)]


@dataclass
class RolloutPair:
    """Two responses of the policy to one prompt.

    Attributes:
        prompt_ids: the prompt's token ids.
        response_ids: the two responses' token ids.
        ref_logps: the reference's summed log-probabilities of the two, in nats.
        rewards: the two rewards (higher is better), None where no reward function is at hand or none applies to both.
        preferred: which of the two the reward prefers (0 or 1), ties by a fair coin; None without rewards.
        step: the optimizer step whose policy sampled them.
        uses: how many rows it has stood for.
        cut: which of the two have no end, as they were cut at the most tokens.
        sampler_logps: the two responses' summed log-probabilities as they were sampled, in nats; None where the
            sampler does not tell them.
        group: a number that it shares with the pairs of the same responses; None where nothing else has any of them.
    """

    prompt_ids: list[int]
    response_ids: tuple[list[int], list[int]]
    step: int
    ref_logps: tuple[float, float] = (0.0, 0.0)
    rewards: tuple[float, float] | None = None
    preferred: int | None = None
    uses: int = 0
    cut: tuple[bool, bool] = (False, False)
    sampler_logps: tuple[float, float] | None = None
    group: int | None = None

    @property
    def identical(self) -> bool:
        return self.response_ids[0] == self.response_ids[1]

    @property
    def tied(self) -> bool:
        return self.rewards is not None and self.rewards[0] == self.rewards[1]

    def as_example(self, by_reward: bool) -> dict:
        """The pair as a tokenised row of DPOTrainer; chosen is the response that the reward prefers, else the first."""
        chosen: Any = self.preferred if by_reward else 0
        return {
            "prompt_ids": self.prompt_ids,
            "chosen_ids": self.response_ids[chosen],
            "rejected_ids": self.response_ids[1 - chosen],
            "ref_chosen_logps": self.ref_logps[chosen],
            "ref_rejected_logps": self.ref_logps[1 - chosen],
        }


def prompt_order(size: int, seed: int, rank: int, processes: int) -> Iterator[int]:
    """Row numbers of the dataset, without end: each process walks its own share in a new seeded order per pass."""
    rows = list(range(rank, size, processes)) or list(range(size))
    passes = 0
    while True:
        order = rows.copy()
        random.Random(f"{seed}:{rank}:{passes}").shuffle(order)
        yield from order
        passes += 1


def add_rewards(
    rollouts: Sequence[Rollouts | RolloutPair],
    rows: list[dict],
    tokenizer,
    reward_function: RewardFunction,
    reverse: bool,
    missing_eos_penalty: float | None = None,
    **given: Any,
) -> None:
    """Set the rewards of the responses to each prompt; they stay without where a reward applies to fewer than two.

    Args:
        rollouts: responses for each row, as many for every one.
        rows: the dataset's rows that they answer, with `prompt` (text, or messages) and any other columns.
        tokenizer: decodes the responses.
        reward_function: a `sail.rewards.RewardFunctions`.
        reverse: its values are costs, lower is better.
        missing_eos_penalty: taken off the reward, or added to the cost, of a response that was cut.
        given: what reward functions get besides, by name.

    Raises:
        ValueError: a function does not give one finite number, or None, for each completion.
    """
    conversational = not isinstance(rows[0]["prompt"], str)
    responses = [ids for group in rollouts for ids in group.response_ids]
    count = len(responses) // len(rows)
    texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in responses]
    completions = [[{"role": "assistant", "content": text}] if conversational else text for text in texts]
    names = [name for name in rows[0] if name not in TRAINING_COLUMNS]
    columns = {name: [row[name] for row in rows for _ in range(count)] for name in names}
    prompts = [row["prompt"] for row in rows for _ in range(count)]
    given = columns | given
    rewards = reward_function(prompts=prompts, completions=completions, completion_ids=responses, **given)
    sign = -1.0 if reverse else 1.0
    for place, group in enumerate(rollouts):
        own = rewards[place * count : (place + 1) * count]
        penalties = [(missing_eos_penalty or 0.0) * cut for cut in group.cut]
        if len(own) - own.count(None) >= 2:
            scored = zip(own, penalties, strict=True)
            group.rewards = tuple(None if one is None else sign * one - fine for one, fine in scored)


def label_by_reward(pairs: list[RolloutPair], draw: str, rng: random.Random) -> None:
    """Set `preferred` of each pair from its rewards.

    Args:
        pairs: those without rewards get none.
        draw: "hard": the higher reward wins, a tie is a fair coin; "bernoulli": the first wins with probability
            σ(difference).
        rng: of the coin.
    """
    for pair in (pair for pair in pairs if pair.rewards):
        difference = pair.rewards[0] - pair.rewards[1]  # type: ignore[index]
        coin = rng.random()
        if draw == "hard" and difference != 0:
            pair.preferred = 0 if difference > 0 else 1
        else:
            first_wins = 0.5 if draw == "hard" else torch.sigmoid(torch.tensor(difference, dtype=torch.float64)).item()
            pair.preferred = 0 if coin < first_wins else 1


class RolloutPool:
    """Sampled pairs in the order of their next use; too old ones are thrown away, never used.

    Args:
        max_age: the most optimizer steps that a pair may be old when it is used.
        reuse: how often a pair is given out; between two uses of one lie those of all others.
    """

    def __init__(self, max_age: float, reuse: int = 1):
        self.max_age = max_age
        self.reuse = reuse
        self.pairs: deque[RolloutPair] = deque()

    def drop_stale(self, step: int) -> int:
        """Remove the pairs made more than `max_age` optimizer steps before `step`; returns how many."""
        before = len(self.pairs)
        self.pairs = deque(pair for pair in self.pairs if step - pair.step <= self.max_age)
        return before - len(self.pairs)

    def __len__(self) -> int:
        """How many rows the pairs can still stand for."""
        return sum(self.reuse - pair.uses for pair in self.pairs)

    def take(self) -> RolloutPair:
        """The next pair; it goes to the end of the line, or leaves after its last use."""
        pair = self.pairs.popleft()
        pair.uses += 1
        if pair.uses < self.reuse:
            self.pairs.append(pair)
        return pair

    def state_dict(self) -> list[dict]:
        """The pairs that wait, as plain values."""
        return [asdict(pair) for pair in self.pairs]

    def load_state_dict(self, state: list[dict]) -> None:
        """Take the pairs of `state_dict` in place of those that wait."""
        self.pairs = deque(RolloutPair(**fields) for fields in state)

    def extend(self, pairs: list[RolloutPair]) -> None:
        """Add pairs behind those that wait."""
        self.pairs.extend(pairs)
