"""UltraRM's text; no end follows it."""

from functools import partial

from pipeline.rewards.texts import tokens_of

# In a checkpoint's config, those whose authors publish this format.
ARCHITECTURES = ("LlamaRewardModel",)

tokens = partial(tokens_of, "Human: {prompt}\n\nAssistant: {response}", False)
