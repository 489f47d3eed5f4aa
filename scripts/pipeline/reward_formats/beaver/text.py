"""safe-rlhf's text, with the end of sequence behind each of the assistant's turns."""

from pipeline.models.manners import without_system
from pipeline.models.templates import conversation
from pipeline.rewards.texts import text_tokens

# In a checkpoint's config, those whose authors publish this format.
ARCHITECTURES = ("LlamaForScore", "LlamaModelForScore")


def tokens(prompt, answer: str, tokenizer) -> dict[str, list[int]]:
    """Token ids of a dialogue under its roles; a system text, for which there is none, goes before the user's first."""
    text, cue = "BEGINNING OF CONVERSATION: ", "ASSISTANT:"
    for turn in without_system(conversation(prompt)):
        if turn["role"] == "assistant":
            text = text if text.endswith(cue) else text + cue
            text += turn["content"] + (tokenizer.eos_token or "")
        else:
            text += f"{turn['role'].upper()}: {turn['content']} {cue}"
    return text_tokens(text + answer, True, tokenizer)
