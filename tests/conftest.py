"""Settings of all tests: nothing reaches for the network. Set before any library reads them."""

import gc
import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="module", autouse=True)
def only_garbage_is_looked_for():
    """What is imported is not looked through again by each training, which collects garbage at its end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def without_cards():
    """Checkpoints without TRL's model card, which takes longer to write than a tiny model."""
    from trl.trainer.base_trainer import _BaseTrainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_BaseTrainer, "create_model_card", lambda *arguments, **options: None)
        yield
