"""Rejection sampling: the best of several responses of the start model to each train prompt, as rows for SFT."""

from datasets import Dataset

from pipeline.jobs.io import InputError
from pipeline.models.templates import as_text, prompt_token_ids
from pipeline.rewards.ranking import best
from pipeline.training.policy import Start


def best_responses(start: Start) -> Dataset:
    """The best response to each prompt, in tokens as it was sampled; prompts that leave no room for one are left out.

    Returns:
        input_ids, completion_mask (1 on the response).

    Raises:
        InputError: there are no candidates, or no prompt leaves room.
    """
    if start.candidates is None:
        raise InputError(f"{start.spec['method']} is trained on the best of several responses: give --candidates")
    values, rows = start.spec["hyperparameters"], []
    chosen = best(start.candidates.table, values.get("missing_eos_penalty"))
    for prompt, response in zip(chosen["prompt"], chosen["response_ids"], strict=True):
        begin = prompt_token_ids(as_text(prompt), start.tokenizer, start.spec["model"])
        if len(begin) < values["max_length"]:
            mask = [0] * len(begin) + [1] * len(response)
            rows.append({"input_ids": begin + [int(token) for token in response], "completion_mask": mask})
    if not rows:
        raise InputError(f"max_length {values['max_length']} leaves no room for a response to any prompt")
    return Dataset.from_list(rows)
