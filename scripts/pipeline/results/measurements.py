"""What tables count and measure of a run, for all of its seeds or for each."""

import numpy as np
import pandas as pd

from pipeline.jobs.parts import all_parts
from pipeline.metrics import bootstrap
from pipeline.results.run_table import Run, read_evaluation, read_finished, read_responses

METHODS = all_parts("methods", "description")


def verdict_counts(verdicts: pd.DataFrame) -> dict[str, int]:
    """Counts of single verdicts, as `read_verdicts` gives them.

    Returns:
        n: with a preference; unparsed: without one, of which refused (by the judge) and failed (no usable reply) are
        part; ties: preferences of one half.
    """
    parsed, statuses = int(verdicts["preference"].notna().sum()), verdicts["status"].value_counts()
    return {
        "n": parsed,
        "unparsed": len(verdicts) - parsed,
        **{status: int(statuses.get(status, 0)) for status in ("refused", "failed")},
        "ties": int((verdicts["preference"] == 0.5).sum()),
    }


def unfinished_share(run: Run, seeds: list[int]) -> float:
    """Per cent of the responses that were cut at the most tokens, before their end; NaN where the files do not say."""
    having = [read_finished(run, seed) for seed in seeds if "responses" in run.files[seed]]
    return 100 * (1 - bootstrap.cell_mean(np.concatenate(having))) if having else float("nan")


def has_implicit_reward(method: str) -> bool:
    """Whether a method's loss makes the policy a reward model: β times its log-ratio to the reference."""
    return getattr(METHODS.get(method), "IMPLICIT_REWARD", True)


def kl_bound(run: Run) -> float:
    """What the KL of best of n to the policy that it samples from is at most, log n − (n − 1)/n in nats; else NaN."""
    if getattr(METHODS.get(run.method), "TRAINED", True) or "candidates" not in run.hyperparameters:
        return float("nan")
    n = run.hyperparameters["candidates"]
    return float(np.log(n) - (n - 1) / n)


def policy_measurements(run: Run, seeds: list[int]) -> dict[str, float]:
    """Means over seeds and prompts: length of the responses, implicit reward of the evaluation pairs, KL.

    Methods whose loss makes the policy no reward model have no implicit reward.
    """
    having = [seed for seed in seeds if "responses" in run.files[seed]]
    lengths = [read_responses(run, seed)["response"].str.len() for seed in having]
    measurements = {"mean_response_length": bootstrap.cell_mean(np.concatenate(lengths))} if lengths else {}
    evaluations = [read_evaluation(run, seed) for seed in seeds if "evaluation" in run.files[seed]]
    if not evaluations:
        return measurements
    frame = pd.concat(evaluations)
    measurements["kl"] = bootstrap.cell_mean(frame["response_logps"] - frame["ref_response_logps"])
    beta = run.hyperparameters.get("beta")
    if beta is not None and has_implicit_reward(run.method):
        chosen = frame["chosen_logps"] - frame["ref_chosen_logps"]
        margins = beta * (chosen - (frame["rejected_logps"] - frame["ref_rejected_logps"]))
        measurements["reward_accuracy"] = bootstrap.positive_share(margins)
        measurements["reward_margin"] = bootstrap.cell_mean(margins)
    return measurements
