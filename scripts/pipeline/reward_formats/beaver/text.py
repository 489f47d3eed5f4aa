"""safe-rlhf's text, with the end of sequence."""

from functools import partial

from pipeline.rewards.texts import tokens_of

# In a checkpoint's config, those whose authors publish this format.
ARCHITECTURES = ("LlamaForScore", "LlamaModelForScore")

tokens = partial(tokens_of, "BEGINNING OF CONVERSATION: USER: {prompt} ASSISTANT:{response}", True)
