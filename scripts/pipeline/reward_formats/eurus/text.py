"""Eurus' text; no end follows it."""

from functools import partial

from pipeline.rewards.texts import tokens_of

# In a checkpoint's config, those whose authors publish this format.
ARCHITECTURES = ("EurusRewardModel",)

tokens = partial(tokens_of, "[INST] {prompt} [/INST] {response}", False)
