"""Prompt and response between a blank line, with the end of sequence."""

from functools import partial

from pipeline.rewards.texts import tokens_of

ARCHITECTURES = ()

tokens = partial(tokens_of, "{prompt}\n\n{response}", True)
