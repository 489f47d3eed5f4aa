"""Log-probabilities of eval pairs and of generated responses under a policy and its reference."""

import pandas as pd

from pipeline.devices import Device
from pipeline.io import InputError
from pipeline.logps import response_logps
from pipeline.models import load_policy, load_tokenizer
from pipeline.templates import as_text, format_response, prompt_token_ids


def evaluate_policy(
    entry: dict,
    frame: pd.DataFrame,
    reference: pd.DataFrame,
    responses: pd.DataFrame,
    policy_path: str,
    reference_path: str,
    device: Device,
) -> pd.DataFrame:
    """What implicit rewards and the KL divergence are computed from.

    Args:
        entry: the model entry.
        frame: prompt_id, prompt, chosen, rejected of the split; one pair per prompt.
        reference: prompt_id, ref_chosen_logps, ref_rejected_logps of the split.
        responses: prompt_id, response_ids of the policy.
        policy_path, reference_path: folders of the policy and of the SFT model.

    Returns:
        prompt_id; chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, response_logps,
        ref_response_logps (float64, nats, summed over the response's tokens); response_tokens (int64).

    Raises:
        InputError: a prompt of the responses is not in the split.
    """
    tokenizer = load_tokenizer(policy_path, entry)
    table = responses[["prompt_id", "response_ids"]].merge(frame, on="prompt_id", validate="one_to_one")
    if len(table) < len(responses):
        raise InputError(f"{len(responses) - len(table)} of the responses are to prompts that the split does not have")
    prompts = [prompt_token_ids(as_text(prompt), tokenizer, entry) for prompt in table["prompt"]]
    generated = [list(map(int, ids)) for ids in table["response_ids"]]

    def completion(prompt: list[int], prompt_value, value) -> list[int]:
        """The tokens of a written response, cut out of the tokenised whole as DPOTrainer does."""
        response = format_response(as_text(value), tokenizer, entry)
        if isinstance(response, str):
            from pipeline.templates import format_prompt

            whole = tokenizer(format_prompt(as_text(prompt_value), tokenizer, entry) + response)["input_ids"]
            return [*whole[len(prompt) :], tokenizer.eos_token_id]
        from pipeline.templates import conversation

        messages = [*conversation(as_text(prompt_value)), *response]
        return tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"][len(prompt) :]

    pairs = {
        name: [completion(ids, p, value) for ids, p, value in zip(prompts, table["prompt"], table[name], strict=True)]
        for name in ("chosen", "rejected")
    }
    size = device.batch_sizes["reference"]

    def logps(path: str, columns: dict[str, list[list[int]]]) -> dict[str, list[float]]:
        model = load_policy(path, entry, **device.model_kwargs()).to(device.type).eval()
        return {
            name: response_logps(model, prompts, ids, tokenizer.pad_token_id, size) for name, ids in columns.items()
        }

    own = logps(policy_path, {f"{name}_logps": ids for name, ids in pairs.items()} | {"response_logps": generated})
    base = logps(reference_path, {"ref_response_logps": generated})
    result = pd.DataFrame({"prompt_id": table["prompt_id"], **own, **base})
    result["response_tokens"] = [len(ids) for ids in generated]
    known = reference[["prompt_id", "ref_chosen_logps", "ref_rejected_logps"]]
    return result.merge(known, on="prompt_id", how="left", validate="one_to_one")
