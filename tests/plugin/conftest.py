"""Tiny real models for the plugin's tests, saved once per session."""

import pytest


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level BPE tokenizer with pad, end and chat template; each word of the tests' texts is a few tokens."""
    from pipeline.models import train_tokenizer
    from plugin.tiny import WORDS, rows

    texts = [" ".join(WORDS)] + [text for row in rows(64) for text in row.values()]
    return train_tokenizer(texts, 300)


@pytest.fixture(scope="session")
def checkpoint(tokenizer, tmp_path_factory):
    """Folder of a tiny Qwen2 with random weights and its tokenizer."""
    from plugin.tiny import new_model

    folder = tmp_path_factory.mktemp("tiny")
    new_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
