"""The benchmark of GPUs: its trainings run, here on small shapes and a CPU that stands for a GPU."""

import pytest
import torch
from fixtures_models import cpu_device

from benchmarks import gpu
from benchmarks.measuring import formatted_table
from pipeline.jobs.io import InputError

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL |= {"num_key_value_heads": 2, "vocab_size": 64}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_nothing_is_measured(tmp_path):
    with pytest.raises(InputError, match="no CUDA device"):
        gpu.main(["t4", "--output", str(tmp_path / "benchmark.json")])


@pytest.mark.parametrize("name", ["0.5B", "3.8B"])
def test_every_method_is_trained_and_has_a_row(tmp_path, monkeypatch, name):
    monkeypatch.setitem(gpu.SHAPES, name, gpu.SHAPES[name] | SMALL)
    short = {"prompt": 6, "response": 5, "pairs": 4, "rollout_prompts": 4}
    monkeypatch.setitem(gpu.SETTINGS, name, gpu.SETTINGS[name] | short)
    monkeypatch.setattr(gpu, "device_of", lambda name: cpu_device())
    for function in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, function, lambda: None)
    rows = gpu.measure(name, 3, tmp_path)
    assert [row["method"] for row in rows] == ["dpo", "ddp", "dpp", "dpr"]
    assert rows[0]["overhead"] == 0 and all(row["seconds_per_step"] > 0 for row in rows)
    assert [row["rollout_seconds_per_step"] > 0 for row in rows] == [False, False, True, True]
    assert len(formatted_table(rows, gpu.COLUMNS).splitlines()) == 6
