"""Settings of all tests: no network, one thread for each process. Set before any library reads them."""

import gc
import os
import sys

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# The threads of several test processes wait for each other in turns, for longer than tiny models compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")


imported = 0  # modules, at the last look


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """What was imported is not looked through again for garbage, which each training and some tables have done."""
    global imported
    if len(sys.modules) != imported:
        imported = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def without_cards():
    """Checkpoints without TRL's model card, which takes longer to write than a tiny model."""
    from trl.trainer.base_trainer import _BaseTrainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_BaseTrainer, "create_model_card", lambda *arguments, **options: None)
        yield
