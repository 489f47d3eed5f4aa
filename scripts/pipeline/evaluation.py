"""Log-probabilities of eval pairs and of generated responses under a policy and its reference."""

import pandas as pd

from pipeline.devices import Device
from pipeline.io import InputError
from pipeline.logps import response_logps
from pipeline.templates import Text, as_text, conversation, format_prompt, format_response, prompt_token_ids


def evaluate_policy(
    entry: dict,
    frame: pd.DataFrame,
    reference: pd.DataFrame,
    responses: pd.DataFrame,
    policy,
    base,
    tokenizer,
    device: Device,
) -> pd.DataFrame:
    """What implicit rewards and the KL divergence are computed from.

    Args:
        entry: the model entry.
        frame: prompt_id, prompt, chosen, rejected of the split; one pair per prompt.
        reference: prompt_id, ref_chosen_logps, ref_rejected_logps of the split.
        responses: prompt_id, response_ids of the policy.
        policy, base: the policy and the SFT model, in eval mode.
        tokenizer: of both.

    Returns:
        prompt_id; chosen_logps, rejected_logps, response_logps, ref_response_logps, ref_chosen_logps,
        ref_rejected_logps (float64, nats, summed over the response's tokens); response_tokens (int64).

    Raises:
        InputError: a prompt of the responses is not in the split.
    """
    table = responses[["prompt_id", "response_ids"]].merge(frame, on="prompt_id", validate="one_to_one")
    if len(table) < len(responses):
        raise InputError(f"{len(responses) - len(table)} of the responses are to prompts that the split does not have")
    texts = [as_text(prompt) for prompt in table["prompt"]]
    prompts = [prompt_token_ids(prompt, tokenizer, entry) for prompt in texts]

    def logps(model, completions: list[list[int]]) -> list[float]:
        return response_logps(model, prompts, completions, tokenizer.pad_token_id, device.batch_sizes["reference"])

    generated = [list(map(int, ids)) for ids in table["response_ids"]]
    result = table[["prompt_id"]].copy()
    for name in ("chosen", "rejected"):
        written = [
            completion_token_ids(prompt, as_text(response), len(ids), tokenizer, entry)
            for prompt, response, ids in zip(texts, table[name], prompts, strict=True)
        ]
        result[f"{name}_logps"] = logps(policy, written)
    result["response_logps"] = logps(policy, generated)
    result["ref_response_logps"] = logps(base, generated)
    result["response_tokens"] = [len(ids) for ids in generated]
    known = reference[["prompt_id", "ref_chosen_logps", "ref_rejected_logps"]]
    return result.merge(known, on="prompt_id", how="left", validate="one_to_one")


def completion_token_ids(prompt: Text, response: Text, prompt_tokens: int, tokenizer, entry: dict) -> list[int]:
    """Token ids of a written response with its end of sequence, cut out of the whole as DPOTrainer does."""
    formatted = format_response(response, tokenizer, entry)
    if isinstance(formatted, str):
        whole = tokenizer(format_prompt(prompt, tokenizer, entry) + formatted + tokenizer.eos_token)["input_ids"]
    else:
        messages = [*conversation(prompt), *formatted]
        whole = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
    return whole[prompt_tokens:]
