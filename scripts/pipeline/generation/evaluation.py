"""Log-probabilities of eval pairs and of generated responses under a policy and its reference."""

import pandas as pd

from pipeline.columns.evaluation import EVALUATION_COLUMNS, POLICY_LOGPS
from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.jobs.io import InputError, check_distinct_prompts
from pipeline.models.devices import Device
from pipeline.models.logps import response_logps
from pipeline.models.templates import as_text, pair_token_ids, prompt_token_ids


def evaluate_policy(
    entry: dict,
    frame: pd.DataFrame,
    reference: pd.DataFrame,
    responses: pd.DataFrame,
    policy,
    base,
    tokenizer,
    device: Device,
    max_length: int | None = None,
) -> pd.DataFrame:
    """What implicit rewards and the KL divergence are computed from.

    Args:
        entry: the model entry.
        frame: prompt_id, prompt, chosen, rejected of the split; one pair per prompt.
        reference: prompt_id, ref_chosen_logps, ref_rejected_logps of the split.
        responses: prompt_id, response_ids: a plain sample of the policy, for KL.
        policy, base: the policy and the SFT model, in eval mode.
        tokenizer: of both.
        max_length: most tokens of prompt with response that a pair is measured on, as in the reference; None for all.

    Returns:
        prompt_id; chosen_logps, rejected_logps, response_logps, ref_response_logps, ref_chosen_logps,
        ref_rejected_logps (float64, nats, summed over the response's tokens); response_tokens (int64). Pairs that the
        reference leaves out, as their prompts fill max_length, have NaN in the four columns of the pair.

    Raises:
        InputError: a prompt of the responses is not in the split, or is there twice.
    """
    check_distinct_prompts(responses, "the responses have")
    table = responses[["prompt_id", "response_ids"]].merge(frame, on="prompt_id", validate="one_to_one")
    if len(table) < len(responses):
        raise InputError(f"{len(responses) - len(table)} of the responses are to prompts that the split does not have")
    texts = [as_text(prompt) for prompt in table["prompt"]]
    prompts = [prompt_token_ids(prompt, tokenizer, entry) for prompt in texts]

    def logps(model, starts: list[list[int]], completions: list[list[int]]) -> list[float]:
        return response_logps(model, starts, completions, tokenizer.pad_token_id, device.batch_sizes["reference"])

    def room(start: list[int]) -> int | None:
        return None if max_length is None else max(max_length - len(start), 0)

    generated = [list(map(int, ids)) for ids in table["response_ids"]]
    result = table[["prompt_id"]].copy()
    sides = ("chosen", "rejected")
    pairs = [
        pair_token_ids(prompt, [as_text(response) for response in responses], tokenizer, entry)
        for prompt, *responses in zip(texts, *(table[name] for name in sides), strict=True)
    ]
    starts = [start for start, _ in pairs]
    for side, name in enumerate(sides):
        result[f"{name}_logps"] = logps(
            policy, starts, [completions[side][: room(start)] for start, completions in pairs]
        )
    result["response_logps"] = logps(policy, prompts, generated)
    result["ref_response_logps"] = logps(base, prompts, generated)
    result["response_tokens"] = [len(ids) for ids in generated]
    known = reference[["prompt_id", *REFERENCE_LOGPS]]
    result = result.merge(known, on="prompt_id", how="left", validate="one_to_one")
    result.loc[result["ref_chosen_logps"].isna(), POLICY_LOGPS] = float("nan")
    return result[EVALUATION_COLUMNS]
