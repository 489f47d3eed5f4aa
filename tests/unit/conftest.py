"""What trainings in several rooms start from."""

import pytest


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """Folder of a tiny Qwen2 with a chat template; not to be changed."""
    from fixtures_models import tiny_chat_model

    return tiny_chat_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="session")
def reference(base, tmp_path_factory):
    """Its log-probabilities of the pairs of `fixtures_training`."""
    from fixtures_models import cpu_device
    from fixtures_training import FRAME

    from pipeline.training.reference import reference_logps

    scratch = str(tmp_path_factory.mktemp("reference"))
    return reference_logps({"model": {}, "max_length": 128}, FRAME, base, cpu_device(2), scratch)
