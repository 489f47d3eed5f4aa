"""A disk that is full ends a training with a clear error, and nothing that was done is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import prepare_data
from pipeline.config.settings import Settings
from pipeline.jobs.io import read_parquet, write_yaml

SCRIPTS = Path(prepare_data.__file__).parent
ARCHITECTURE = {
    **{"model_type": "qwen2", "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
    **{"intermediate_size": 256, "max_position_embeddings": 128},
}
CONFIG = {
    **{"tag": "disk", "datasets": ["tiny"], "models": ["tiny"], "seeds": [1], "tasks": [{"method": "dpo"}]},
    **{"reward_model": "deberta", "judge": "gold", "baseline": "dpo"},
    "sft": {"learning_rate": 1e-3, "epochs": 1, "global_batch_size": 8, "max_length": 128},
    "definitions": {
        "datasets": {"tiny": {"source": "world", "size": 96, "eval_size": 8, "selection_size": 8}},
        "models": {"tiny": {"architecture": ARCHITECTURE, "vocab_size": 300}},
    },
}


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own, and a function that makes it larger."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    if not mount("size=8m"):
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        yield place, lambda: mount("remount,size=64m")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def train(tmp_path, results: Path) -> tuple[int, str]:
    """Run train_sft with a checkpoint after every step, its log on the same disk; exit code and log."""
    (results / "logs").mkdir(parents=True, exist_ok=True)
    log = results / "logs" / "train_sft.log"
    code = (
        "import sys, train_sft\nfrom pipeline.jobs import io\nfrom pipeline.models import devices\n"
        "from dataclasses import replace\n"
        "named = devices.named_device\n"
        "devices.named_device = lambda name: replace(named(name), checkpoint_seconds=0)\n"
        "io.run(lambda: train_sft.main(sys.argv[1:]))"
    )
    given = {"spec": tmp_path / "sft.yaml", "data": tmp_path / "data/train.parquet", "output-dir": results / "sft"}
    arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    with log.open("w") as output:
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--device", "cpu", "--threads", "1"],
            env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return ended.returncode, log.read_text()


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path, disk):
    place, enlarge = disk
    settings = Settings.from_config(CONFIG)
    write_yaml(settings.data_spec("tiny"), tmp_path / "data.yaml")
    write_yaml(settings.sft_spec("tiny", "tiny"), tmp_path / "sft.yaml")
    prepare_data.main(["--spec", str(tmp_path / "data.yaml"), "--output-dir", str(tmp_path / "data")])
    code, log = train(tmp_path, tmp_path / "results")
    assert code == 0, log
    results = place / "results"
    code, log = train(tmp_path, results)
    assert code == 1 and log.splitlines()[-1].startswith("error: no space left on the disk"), log
    assert "Traceback" not in log and not list((results / "sft").rglob("*"))
    [kept] = (results / ".state" / "sft").glob("*/checkpoint-*")
    step = int(kept.name.partition("-")[2])
    assert step >= 1
    assert enlarge()
    code, log = train(tmp_path, results)
    assert code == 0 and f"continues after step {step}" in log, log
    for name in ("model/model.safetensors", "metrics.parquet", "manifest.json"):
        assert (results / "sft" / name).read_bytes() == (tmp_path / "results" / "sft" / name).read_bytes(), name
    assert len(read_parquet(results / "sft" / "metrics.parquet")) and not (results / ".state").exists()
