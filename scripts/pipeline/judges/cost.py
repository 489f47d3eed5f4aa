"""What the judges of a config will take, before anything is asked.

What is exact and what is not: the number of requests is exact, except that answers that do not exist yet are counted
as all different (equal answers are asked about once). Requests about answers that exist are looked up in the store, and
those that were answered cost nothing. Tokens of questions are estimated (`estimate_tokens`); an answer that does not
exist yet counts with all the tokens that it may have, a reply with max_tokens. So the sum leans to too much, but for
unreadable replies, which are paid and asked again max_retries times at most.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.columns.prompts import REFERENCE
from pipeline.columns.responses import RESPONSE_TEXTS
from pipeline.jobs.io import read_parquet
from pipeline.judges.budget import price
from pipeline.judges.prompts import dialogue, estimate_tokens
from pipeline.judges.replies import is_open
from pipeline.judges.requests import make_request, orders, plan_requests
from pipeline.judges.store import read_store
from pipeline.judges.tables import pair_responses
from pipeline.judges.turns import asked_turns, by_turn, named_turns, reference_turns
from pipeline.models.templates import as_text, response_text
from pipeline.results.run_table import CHOSEN, RunTable

KEYS_AT_ONCE = 10_000


@dataclass
class CostEstimate:
    """What a judge will take on a split of a dataset.

    Attributes:
        split: the name of the judged split.
        verdicts: rows.
        asked: {key: tokens} of requests whose answers exist.
        expected: {name: tokens} of requests whose answers do not exist yet.
        answered: how many of `asked` are in the store with a reply that settles them.
        spent: US dollars that the judge took before, whatever for.
    """

    dataset: str
    split: str
    spec: dict
    service: dict
    verdicts: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    expected: dict[tuple, int] = field(default_factory=dict)
    answered: int = 0
    spent: float = 0.0

    @property
    def requests(self) -> int:
        """All that the verdicts rest on, answered before or not."""
        return self.answered + self.to_send

    @property
    def to_send(self) -> int:
        """Requests that are still to be sent."""
        return len(self.asked) + len(self.expected)

    @property
    def tokens(self) -> tuple[int, int]:
        """Of what is still to be sent, by estimate, and of the replies, at most."""
        sent = sum(self.asked.values()) + sum(self.expected.values())
        return sent, self.to_send * self.spec["max_tokens"]

    @property
    def dollars(self) -> float | None:
        """What is still to be sent costs that much at most; None without prices."""
        return price(*self.tokens, self.service, self.service["batch"])


def estimate_cost(
    table: RunTable,
    dataset: str,
    split: pd.DataFrame,
    spec: dict,
    service: dict,
    longest: int,
    sample: pd.DataFrame | None = None,
    prompts: pd.DataFrame | None = None,
) -> CostEstimate:
    """What a judge of kind openai will take on a dataset; the store is not yet looked at (`leave_out_answered`).

    Args:
        table: run table; files of responses that do not exist are estimated.
        split: prompt_id, prompt, chosen of the judged prompts; not read where there are `prompts`.
        longest: most tokens of a generated response.
        sample: labelled pairs, prompt_id, prompt, response, baseline_response, where the judge's quality is measured.
        prompts: a set of prompts that is judged in place of a split, each turn of a prompt by itself.
    """
    estimate = CostEstimate(dataset, table.split, spec, service)
    read = _responses if prompts is None else partial(_turns, prompts=prompts)
    split = split if prompts is None else named_turns(asked_turns(prompts), prompts)
    for run in (run for run in table.runs if run.dataset == dataset):
        known = {other.run: other for other in table.runs_of(run.group)}
        for seed in run.files:
            own = read(run.files[seed]["responses"])
            for baseline in run.baselines:
                asked, place = split, (run.model, run.decoding, seed)
                if baseline == CHOSEN:
                    other = split.rename(columns={"chosen": "response"})
                elif baseline == REFERENCE:
                    other = named_turns(reference_turns(prompts), prompts)
                    asked = split[split["prompt_id"].isin(other["prompt_id"])]
                else:
                    other = read(known[baseline].files[seed]["responses"])
                answers = own if own is None else own[own["prompt_id"].isin(asked["prompt_id"])]
                _add_runs(estimate, asked, ((*place, run.run), answers), ((*place, baseline), other), longest)
    if sample is not None:
        _add_table(estimate, sample)
    return estimate


def leave_out_answered(estimate: CostEstimate, folder: str | Path) -> None:
    """Take the requests that a store has final replies to, or no more retries for, off an estimate."""
    with read_store(folder, estimate.spec["name"]) as store:
        if store is None:
            return
        estimate.spent = store.spent(estimate.service["prices"])
        keys = list(estimate.asked)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            for key, replies in store.replies(keys[start : start + KEYS_AT_ONCE]).items():
                if not is_open(replies, estimate.spec):
                    del estimate.asked[key]
                    estimate.answered += 1


def describe(estimates: list[CostEstimate]) -> str:
    """Estimates in words, with their sum."""
    lines = []
    for estimate in estimates:
        (sent, replied), future = estimate.tokens, len(estimate.expected)
        paid, budget = estimate.dollars, estimate.service["budget_usd"]
        money = "unknown, judge.yaml has no prices" if paid is None else f"at most {paid:,.2f} USD"
        unspent = max(0.0, (budget or 0.0) - estimate.spent)
        left = "" if budget is None else f"; budget_usd {budget:g}, of which {unspent:,.2f} left"
        lines += [
            f"{estimate.dataset}, {estimate.split}: judge {estimate.spec['name']}, model {estimate.spec['model']}",
            f"  verdicts        {estimate.verdicts:,}",
            f"  requests        {estimate.requests:,}, {estimate.answered:,} of them answered before",
            f"  still to send   {estimate.to_send:,}, {future:,} of them about responses that do not exist yet",
            f"  tokens          about {sent:,} sent, at most {replied:,} in replies",
            f"  money           {money}",
            f"  spent before    {estimate.spent:,.2f} USD{left}",
        ]
    known = [estimate.dollars for estimate in estimates if estimate.dollars is not None]
    money = f"at most {sum(known):,.2f} USD" if len(known) == len(estimates) else "money unknown, as prices are missing"
    to_send = sum(estimate.to_send for estimate in estimates)
    lines.append(f"total: {to_send:,} requests to send, {money}; unreadable replies come on top")
    return "\n".join(lines)


def _responses(path: str) -> pd.DataFrame | None:
    return read_parquet(path, RESPONSE_TEXTS) if Path(path).is_file() else None


def _turns(path: str, prompts: pd.DataFrame) -> pd.DataFrame | None:
    """Responses to a set, each turn by itself."""
    found = _responses(path)
    return None if found is None else named_turns(by_turn(found, prompts), prompts)


def _add_runs(estimate: CostEstimate, split: pd.DataFrame, own: tuple, other: tuple, longest: int) -> None:
    """Add the requests about a run's and a baseline's responses; each is (name, frame, None where there is none)."""
    if own[1] is not None and other[1] is not None:
        names = {"response": "baseline_response", "prompt": "baseline_prompt"}
        baseline = other[1][["prompt_id", "response", "prompt"]].rename(columns=names)
        _add_table(estimate, pair_responses(own[1], baseline))
        return
    spec, single = estimate.spec, estimate.spec["mode"] == "single"
    blank = make_request("", {"answer": ""} if single else {"answer_a": "", "answer_b": ""}, spec).tokens
    texts = [None if part is None else part.set_index("prompt_id")["response"].map(_text) for _, part in (own, other)]
    for prompt_id, prompt in zip(split["prompt_id"], map(as_text, split["prompt"]), strict=True):
        asked = orders(spec, str(prompt_id))
        estimate.verdicts += len(asked)
        question = blank + estimate_tokens(dialogue(prompt))
        tokens = [longest if text is None else estimate_tokens(text[prompt_id]) for text in texts]
        if not single:
            both = {(own[0], other[0], prompt_id, order): question + sum(tokens) for order in asked}
            estimate.expected.update(both)
            continue
        for (name, _), text, count in zip((own, other), texts, tokens, strict=True):
            if text is None:
                estimate.expected[name, prompt_id] = question + count
            else:
                request = make_request(prompt, {"answer": text[prompt_id]}, spec)
                estimate.asked[request.key] = request.tokens


def _text(cell) -> str:
    return response_text(as_text(cell))


def _add_table(estimate: CostEstimate, table: pd.DataFrame) -> None:
    questions, requests = plan_requests(table, estimate.spec)
    estimate.verdicts += len(questions)
    estimate.asked.update((request.key, request.tokens) for request in requests.values())
