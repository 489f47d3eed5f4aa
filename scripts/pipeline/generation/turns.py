"""Responses to prompts of several turns: each turn is asked after the policy's own answers to those before."""

import hashlib
from pathlib import Path

import pandas as pd

from pipeline.columns.prompts import CATEGORY, FURTHER
from pipeline.generation.responses import generate_responses
from pipeline.models.templates import as_text, conversation, prompt_token_ids


def answer_prompts(
    spec: dict, entry: dict, frame: pd.DataFrame, *models, seed: int, device, path: str, kept: Path
) -> pd.DataFrame:
    """One response per prompt, after all of its turns.

    Args:
        spec, entry, models, device, path: as `generate_responses` takes them.
        frame: of `pipeline.generation.prompts.read_prompts`.
        seed: of the sampling; each further turn has one of its own from it.
        kept: folder for finished responses.

    Returns:
        `generate_responses`, with `category` where the frame has it. Where any prompt has several turns, all prompts
        are messages: the conversation up to the user's last turn, the policy's own answers included; the response is
        the last answer.
    """
    if FURTHER in frame:
        warn_of_long(spec, entry, frame, *models)
    answers = generate_responses(spec, entry, frame, *models, seed, device, path, kept=kept / "responses")
    further = [list(texts) for texts in frame[FURTHER]] if FURTHER in frame else [[]] * len(frame)
    most = max(map(len, further), default=0)
    if most:
        answers["prompt"] = [conversation(as_text(prompt)) for prompt in answers["prompt"]]
    for turn in range(most):
        asked = [row for row, texts in enumerate(further) if len(texts) > turn]
        prompts = [
            [
                *answers["prompt"][row],
                {"role": "assistant", "content": answers["response"][row]},
                {"role": "user", "content": further[row][turn]},
            ]
            for row in asked
        ]
        asking = pd.DataFrame({"prompt_id": answers["prompt_id"].iloc[asked].tolist(), "prompt": prompts})
        told = turn_seed(seed, turn + 2), device, path
        found = generate_responses(spec, entry, asking, *models, *told, kept=kept / f"turn{turn + 2}")
        rows = answers.to_dict("records")
        for row, record in zip(asked, found.to_dict("records"), strict=True):
            rows[row] = record
        answers = pd.DataFrame(rows, columns=answers.columns)
    return answers.assign(**{CATEGORY: frame[CATEGORY].tolist()}) if CATEGORY in frame else answers


def warn_of_long(spec: dict, entry: dict, frame: pd.DataFrame, model, tokenizer) -> None:
    """Print how many prompts of a set, which leaves none out, may need more tokens than the model has positions for."""
    most = getattr(model.config, "max_position_embeddings", None)
    lengths = [len(prompt_token_ids(as_text(prompt), tokenizer, entry)) for prompt in frame["prompt"]] if most else []
    if count := sum(length + spec["max_new_tokens"] > most for length in lengths):
        print(f"{count} of {len(frame)} prompts may, with their responses, pass the {most} tokens that the model knows")


def turn_seed(seed: int, turn: int) -> int:
    """The seed of a further turn, 31 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}:turn{turn}".encode()).digest()[:4], "big") >> 1
