"""Two segments, for encoders such as DeBERTa."""

from pipeline.rewards.texts import joined_turns

ARCHITECTURES = ()


def tokens(prompt, answer: str, tokenizer) -> dict[str, list[int]]:
    """Token ids, and token_type_ids where the tokenizer tells the segments apart."""
    encoding = tokenizer(joined_turns(prompt), answer)
    return {name: encoding[name] for name in ("input_ids", "token_type_ids") if name in encoding}
