"""Verdicts of a judge behind an endpoint: from a table of responses to one row per prompt and order."""

import asyncio
from pathlib import Path

import pandas as pd

from pipeline.columns.verdicts import PART_COLUMNS, VERDICT_COLUMNS
from pipeline.jobs.io import InputError
from pipeline.judges.batch import BatchAsker
from pipeline.judges.client import Asker
from pipeline.judges.endpoints import open_endpoints
from pipeline.judges.replies import Outcome, is_open, least_tokens, settled
from pipeline.judges.requests import Question, Request, plan_requests
from pipeline.judges.store import Store, open_store
from pipeline.models.templates import as_text, response_text

WORST_FIRST = ("failed", "refused", "unparsed", "parsed")


def judge_by_model(
    table: pd.DataFrame, spec: dict, service: dict, folder: str | Path, run: str, seed: int, baseline: str
) -> pd.DataFrame:
    """One verdict per prompt and order (per prompt, where answers are graded alone).

    The preference says who has the higher score, not by how much: 1 the run, 0 the baseline, ½ for equal scores. It is
    missing where the status is not parsed. `request_key` finds the replies in the store; where answers are graded
    alone it has two keys, the run's and the baseline's, with a space between them.

    Args:
        table: prompt_id, prompt, response, baseline_response; prompts and responses are text or messages.
        spec, service: the judge's, as `Settings.judge_spec` and `Settings.judge_service` give them.
        folder: of the stores.

    Returns:
        VERDICT_COLUMNS, and PART_COLUMNS where the judge is asked for parts, prompts in the table's order. Lengths are
        in characters.

    Raises:
        InputError: it could not go on, or more than max_failed_share of the verdicts are not parsed.
    """
    questions, requests = plan_requests(table, spec)
    with open_store(folder, spec["name"]) as store:
        outcomes = ask(requests, spec, service, store)
        spent = store.spent(service["prices"])
    verdicts = as_rows(table, questions, outcomes, spec["name"], (run, seed, baseline))
    if spec.get("parts"):
        verdicts[PART_COLUMNS] = parts_of(questions, outcomes)
    counts = verdicts["status"].value_counts()
    summary = ", ".join(f"{counts.get(status, 0)} {status}" for status in reversed(WORST_FIRST))
    print(f"{len(verdicts)} verdicts: {summary}; {spent:.4f} USD spent by this judge so far")
    check_failures(verdicts, outcomes, service["max_failed_share"], f"{Path(folder) / spec['name']}.sqlite")
    return verdicts


def ask(requests: dict[str, Request], spec: dict, service: dict, store: Store) -> dict[str, Outcome]:
    """The outcomes of requests, from the store where it has them; the others are asked."""
    replies = store.replies(requests)
    urls = service["base_url"]
    addresses = urls if isinstance(urls, list) else [url for url in [urls] if url]
    least = {key: least_tokens(requests[key].text) for key in replies}
    outcomes = {key: settled(found, spec, least[key]) for key, found in replies.items()}
    wanted = {
        key: request
        for key, request in requests.items()
        if key not in replies or is_open(replies[key], spec, addresses, least[key])
    }
    print(f"{len(requests)} requests, {len(requests) - len(wanted)} of them answered before", flush=True)
    if not wanted:
        return outcomes
    endpoints = open_endpoints(service)

    async def answers() -> dict[str, Outcome]:
        try:
            batches = BatchAsker(spec, service, store, endpoints[0])
            if service["batch"]:
                return await batches.ask_all(wanted)
            await batches.wait_for(wanted)  # submitted before the judge was set to be asked one by one
            replies.update(store.replies(wanted))
            largest = max(request.tokens for request in wanted.values()) + spec["max_tokens"]
            works = any(outcome.status == "parsed" for outcome in outcomes.values())
            asker = Asker(spec, service, store, endpoints, largest, works)
            return await asker.ask_all(wanted.values(), replies)
        finally:
            for endpoint in endpoints:
                await endpoint.client.close()

    return outcomes | asyncio.run(answers())


def as_rows(
    table: pd.DataFrame, questions: list[Question], outcomes: dict[str, Outcome], judge: str, names: tuple
) -> pd.DataFrame:
    """Questions and their outcomes as VERDICT_COLUMNS; `names` are run, seed and baseline."""
    ids, rows = table["prompt_id"].tolist(), []
    lengths = [
        [len(response_text(as_text(value))) for value in table[column]] for column in ("response", "baseline_response")
    ]
    for question in questions:
        found = [outcomes[key] for key in question.keys]
        status = min((outcome.status for outcome in found), key=WORST_FIRST.index)
        scores = [score for outcome in found for score in outcome.scores or ()] if status == "parsed" else [None, None]
        own, other = scores if question.order != "ba" else reversed(scores)
        models = dict.fromkeys(outcome.model for outcome in found if outcome.model)
        rows.append(
            (
                *(ids[question.row], *names, question.order, preference(own, other), own, other),
                *(lengths[0][question.row], lengths[1][question.row], judge),
                *(", ".join(models), " ".join(question.keys), status),
            )
        )
    verdicts = pd.DataFrame(rows, columns=VERDICT_COLUMNS)
    numbers = dict.fromkeys(("preference", "score_run", "score_baseline"), "float64")
    return verdicts.astype(numbers | dict.fromkeys(("seed", "len_run", "len_baseline"), "int64"))


def parts_of(questions: list[Question], outcomes: dict[str, Outcome]) -> list[tuple]:
    """The parts of the run's and of the baseline's answer, a row a question; None where they were not given."""
    rows = []
    for question in questions:
        found = [parts for key in question.keys for parts in outcomes[key].parts or ()]
        own, other = found if len(found) == 2 else (None, None)
        rows.append((other, own) if question.order == "ba" else (own, other))
    return rows


def preference(own: float | None, other: float | None) -> float | None:
    """1 for the higher score, 0 for the lower, ½ for equal ones; None where there are none."""
    return None if own is None else (own > other) + 0.5 * (own == other)


def check_failures(verdicts: pd.DataFrame, outcomes: dict[str, Outcome], share: float, store: str) -> None:
    """Raise an error where too many verdicts are not parsed."""
    wrong = verdicts["status"] != "parsed"
    if wrong.mean() <= share:
        return
    counts = verdicts.loc[wrong, "status"].value_counts()
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    reason = next(outcome.reason for outcome in outcomes.values() if outcome.status == counts.index[0])
    raise InputError(
        f"{wrong.sum()} of {len(verdicts)} verdicts are not parsed ({summary}), more than max_failed_share {share:g} "
        f"of judge.yaml. One reason: {reason}. All replies are kept in {store}; run again to ask the failed ones "
        "again, raise max_retries to ask the unparsed ones again, or raise max_failed_share to go on without them"
    )
