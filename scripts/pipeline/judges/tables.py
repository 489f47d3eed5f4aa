"""Verdicts: a run's responses against a baseline's, prompt by prompt."""

import numpy as np
import pandas as pd

from pipeline.columns.verdicts import PART_COLUMNS, VERDICT_COLUMNS
from pipeline.config.fields import FAILED_SHARE
from pipeline.jobs.io import InputError, check_distinct_prompts
from pipeline.models.templates import as_text, response_text


def judge_by_score(
    table: pd.DataFrame, scorer, judge: str, judge_model: str, run: str, seed: int, baseline: str, parts=None
) -> pd.DataFrame:
    """One verdict per prompt by comparing two scores: 1 where the run's is higher, 0 where lower, ½ on a tie.

    Args:
        table: prompt_id, prompt, response, baseline_response; prompts and responses are text or messages. And
            baseline_prompt, where the baseline's responses are to other conversations.
        scorer: (prompts, responses) -> scores, higher is better. One that is not finite makes the verdict failed.
        judge, judge_model: recorded as they are.
        parts: (prompts, responses) -> {part: number} of each, for a judge that knows them.

    Returns:
        VERDICT_COLUMNS, and with `parts` PART_COLUMNS, in the table's order. Lengths are in characters; order is
        "none", as a score has no order.
    """
    asked = {"run": table["prompt"], "baseline": table.get("baseline_prompt", table["prompt"])}
    verdicts = pd.DataFrame({"prompt_id": table["prompt_id"], "run": run, "seed": seed, "baseline": baseline})
    for side, column in (("run", "response"), ("baseline", "baseline_response")):
        prompts = [as_text(prompt) for prompt in asked[side]]
        responses = [response_text(as_text(value)) for value in table[column]]
        verdicts[f"score_{side}"] = pd.Series(scorer(prompts, responses), dtype="float64", index=table.index)
        verdicts[f"len_{side}"] = [len(text) for text in responses]
        if parts:
            verdicts[f"parts_{side}"] = parts(prompts, responses)
    difference = verdicts["score_run"] - verdicts["score_baseline"]
    judged = np.isfinite(difference)
    verdicts["preference"] = ((difference > 0) + 0.5 * (difference == 0)).where(judged)
    verdicts["status"] = np.where(judged, "parsed", "failed")
    verdicts = verdicts.assign(order="none", judge=judge, judge_model=judge_model, request_key="")
    return verdicts[VERDICT_COLUMNS + PART_COLUMNS * bool(parts)]


def check_scores(verdicts: pd.DataFrame, spec: dict) -> pd.DataFrame:
    """The verdicts of a judge that gives scores, as they are.

    Raises:
        InputError: more than max_failed_share of them rest on a score that is no finite number.
    """
    failed, share = verdicts["status"] == "failed", spec.get("max_failed_share", FAILED_SHARE)
    if failed.mean() <= share:
        return verdicts
    first = verdicts[failed].iloc[0]
    raise InputError(
        f"{failed.sum()} of {len(verdicts)} verdicts have a score that is no finite number, more than max_failed_share "
        f"{share:g} of judge.yaml: {first['judge_model']} gives prompt {first['prompt_id']} the scores "
        f"{first['score_run']} and {first['score_baseline']}. A reward model does so where its weights are broken or "
        "its precision is too low"
    )


def pair_responses(responses: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """Put a baseline's responses beside a run's, by prompt_id.

    Args:
        responses: prompt_id, prompt, response.
        baseline: prompt_id, baseline_response.

    Raises:
        InputError: a prompt of the run is missing in the baseline, or one of either is there twice.
    """
    for name, frame in (("run", responses), ("baseline", baseline)):
        check_distinct_prompts(frame, f"the {name} has")
    table = responses.merge(baseline, on="prompt_id", how="left", validate="one_to_one", indicator=True)
    absent = table.loc[table["_merge"] != "both", "prompt_id"]
    if len(absent):
        raise InputError(
            f"the baseline has no response to {len(absent)} of the run's prompts, {absent.iloc[0]} the first"
        )
    return table.drop(columns="_merge")
