"""Log-probabilities of eval pairs and of generated responses under a policy and its reference."""

from itertools import takewhile

import pandas as pd

from pipeline.columns.evaluation import EVALUATION_COLUMNS, POLICY_LOGPS
from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.jobs.io import InputError, check_distinct_prompts
from pipeline.models.devices import Device
from pipeline.models.logps import response_logps
from pipeline.models.templates import Text, as_text, conversation, format_prompt, format_response, prompt_token_ids


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

    generated = [list(map(int, ids)) for ids in table["response_ids"]]
    result = table[["prompt_id"]].copy()
    written = {
        name: [
            whole_token_ids(prompt, as_text(response), tokenizer, entry)
            for prompt, response in zip(texts, table[name], strict=True)
        ]
        for name in ("chosen", "rejected")
    }
    # As in DPOTrainer, completions begin where the prompt's tokens end or, if tokens merge across it, differ.
    starts = [common_start(sequences) for sequences in zip(prompts, *written.values(), strict=True)]
    for name, wholes in written.items():
        completions = [ids[len(start) : max_length] for ids, start in zip(wholes, starts, strict=True)]
        result[f"{name}_logps"] = logps(policy, starts, completions)
    result["response_logps"] = logps(policy, prompts, generated)
    result["ref_response_logps"] = logps(base, prompts, generated)
    result["response_tokens"] = [len(ids) for ids in generated]
    known = reference[["prompt_id", *REFERENCE_LOGPS]]
    result = result.merge(known, on="prompt_id", how="left", validate="one_to_one")
    result.loc[result["ref_chosen_logps"].isna(), POLICY_LOGPS] = float("nan")
    return result[EVALUATION_COLUMNS]


def whole_token_ids(prompt: Text, response: Text, tokenizer, entry: dict) -> list[int]:
    """Token ids of a prompt and a written response with its end of sequence, as DPOTrainer makes them."""
    formatted = format_response(response, tokenizer, entry)
    if isinstance(formatted, str):
        end = "" if formatted.endswith(tokenizer.eos_token) else tokenizer.eos_token
        return tokenizer(format_prompt(prompt, tokenizer, entry) + formatted + end)["input_ids"]
    return tokenizer.apply_chat_template([*conversation(prompt), *formatted], return_dict=True)["input_ids"]


def common_start(sequences: tuple[list[int], ...]) -> list[int]:
    """The longest list that all of the sequences begin with."""
    return [tokens[0] for tokens in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*sequences, strict=False))]
