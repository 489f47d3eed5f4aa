"""Tiny real models for the plugin's tests, saved once per session."""

import pytest


@pytest.fixture(scope="session")
def tokenizer():
    """A byte-level BPE tokenizer with pad, end and chat template; each word of the tests' texts is a few tokens."""
    from pipeline.models.checkpoints import train_tokenizer
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


@pytest.fixture
def make(without_cards, checkpoint, tokenizer, tmp_path):
    """A trainer of a class on 64 rows (or `data`), with the tests' arguments changed by keyword."""
    from datasets import Dataset
    from trl import DPOConfig

    from plugin.tiny import rows
    from plugin.training import ARGUMENTS, ROLLOUTS
    from sail import SAILConfig, SAILTrainer

    def make(
        cls, data=None, *, model=None, reward_funcs=None, eval_data=None, peft_config=None, callbacks=None, **changes
    ):
        arguments = {"output_dir": str(tmp_path), **ARGUMENTS, **changes}
        extra = {}
        if cls is SAILTrainer:
            args, extra["reward_funcs"] = SAILConfig(**ROLLOUTS | arguments), reward_funcs
        else:
            args = DPOConfig(**arguments)
        return cls(
            model=model or str(checkpoint),
            args=args,
            train_dataset=Dataset.from_list(rows(64)) if data is None else data,
            eval_dataset=eval_data,
            processing_class=tokenizer,
            peft_config=peft_config,
            callbacks=callbacks,
            **extra,
        )

    return make


@pytest.fixture
def sail_trainer(make):
    """A SAILTrainer of a method's shares, with the reward where it needs one."""
    from plugin.tiny import reward
    from sail import SAILTrainer

    def sail_trainer(data=None, **changes):
        changes.setdefault("reward_funcs", reward if changes.get("g") else None)
        return make(SAILTrainer, data, **changes)

    return sail_trainer
