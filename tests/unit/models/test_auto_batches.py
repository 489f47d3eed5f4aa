"""Batch sizes `auto`: numbers for models made from scratch, to be found for those that are loaded."""

import argparse
import copy
from dataclasses import replace

import pytest
import torch
import yaml
from fixtures_models import cpu_device
from trl.kernels import chunked_logprob

from pipeline.config.global_batch import batch_sizes, check_global_batches, divisors, split_batch
from pipeline.config.settings import Settings
from pipeline.jobs.io import InputError
from pipeline.models import devices
from pipeline.models.device_arguments import add_device_arguments
from pipeline.models.devices import ROOT, device_from_arguments
from pipeline.training.fitting import TILE_TOKENS, tile_tokens
from sail.internals import logits_of

SMALL = yaml.safe_load((ROOT / "tests" / "data" / "small.yaml").read_text("utf-8"))
FIXED = {"sft": 32, "policy": 16, "reward": 16, "reference": 16, "generate": 128}
SCORING = {"score": 32, "score_tokens": 16384}


@pytest.mark.parametrize(
    ("given", "model", "sizes"),
    [
        ([], {"architecture": {}}, FIXED),
        (["--side-by-side", "2"], {"architecture": {}}, FIXED),
        (["--side-by-side", "0"], None, FIXED),
        ([], {"path": "a/model"}, dict.fromkeys(FIXED, "auto")),
        (["--side-by-side", "3"], None, dict.fromkeys(FIXED, "auto")),
    ],
)
def test_models_from_scratch_keep_their_sizes(given, model, sizes, monkeypatch):
    asked = []
    monkeypatch.setattr(devices, "return_large_blocks", lambda: asked.append("returned"))
    monkeypatch.setattr(devices, "keep_freed_blocks", lambda: asked.append("kept"))
    parser = argparse.ArgumentParser()
    add_device_arguments(parser)
    device = device_from_arguments(parser.parse_args(["--device", "cpu", *given]), model)
    assert device.batch_sizes == sizes | SCORING
    assert device.side_by_side == (3 if "3" in given else 2 if "2" in given else 1)
    assert asked == ["returned" if "auto" in sizes.values() else "kept"]


def test_a_number_is_taken_for_every_model():
    entry = {"per_device_batch_size": {"sft": 4, "policy": "auto"}}
    assert batch_sizes(entry, True) == {"sft": 4, "policy": "auto"}
    assert batch_sizes(entry, False) == {"sft": 4, "policy": 16}
    assert divisors(12) == [12, 6, 4, 3, 2, 1]
    assert split_batch("auto", 32, 4, "policy", "here") == (1, 8)


def config_on(device, model):
    content = copy.deepcopy(SMALL) | {"device": device}
    content["policy"]["global_batch_size"] = 24
    content["definitions"]["models"]["tiny"] = model
    return Settings.from_config(content)


def test_a_config_is_checked_for_what_its_models_get():
    scratch = yaml.safe_load((ROOT / "tests" / "data" / "small.yaml").read_text("utf-8"))["definitions"]["models"][
        "tiny"
    ]
    check_global_batches(config_on("cpu", {"path": "a/model"}))
    with pytest.raises(InputError, match="a global batch of 24 is not a multiple of 16 rows per device"):
        check_global_batches(config_on("cpu", scratch))
    loaded = config_on("cpu", {"path": "a/model"})
    loaded.devices["cpu"]["processes"] = 5
    with pytest.raises(InputError, match="sft: a global batch of 16 is not a multiple of 5 processes"):
        check_global_batches(loaded)


@pytest.mark.parametrize(
    ("kind", "rows", "wanted", "checkpoints"),
    [
        *(("cuda", 4, "auto", True), ("cuda", "auto", "auto", False), ("cpu", 4, "auto", False)),
        *(("cpu", 4, "always", True), ("cuda", "auto", "always", True), ("cuda", 4, "never", False)),
    ],
)
def test_layers_are_computed_again_where_that_is_wanted(kind, rows, wanted, checkpoints):
    device = replace(cpu_device(policy=rows), type=kind, activation_checkpointing=wanted)
    assert device.checkpoints_activations("policy") is checkpoints
    assert device.training_kwargs("policy", 8)["activation_checkpointing"] is checkpoints


def test_a_head_that_holds_few_logits_gives_the_same_numbers():
    torch.manual_seed(0)
    hidden, weight, targets = torch.randn(50, 8), torch.randn(40, 8), torch.randint(0, 40, (50,))

    def logps(tokens):
        with logits_of(tokens):
            return chunked_logprob.ChunkedLogProbFunction.apply(hidden, weight, None, targets, 1.0, 64, None, 1.0, ())[
                0
            ]

    before = chunked_logprob.TOKEN_CHUNK_SIZE
    assert torch.allclose(logps(7), logps(None), atol=1e-5)
    assert before == chunked_logprob.TOKEN_CHUNK_SIZE > TILE_TOKENS
    auto = cpu_device(policy="auto")
    assert [tile_tokens(device, "policy") for device in (auto, cpu_device(), replace(auto, type="cuda"))] == [
        *(TILE_TOKENS, None, None)
    ]
