"""Several processes, with gloo on a CPU: the offline part is one process's, rollouts are each rank's own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def launch(checkpoint, folder, settings: dict, processes: int = 2) -> Path:
    """Run the program in its processes to the end; its folder."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    command += ["--multi_gpu"] if processes > 1 else ["--cpu"]  # as torchrun does it; with gloo, as the variable says
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", str(port), "-m", "plugin.two_processes"]
    command += [str(checkpoint), str(folder), json.dumps(settings)]
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT / 'tests'}",
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "final.safetensors")


def sampled(folder: Path) -> list[list]:
    """What each rank sampled: [prompt, response, response] per pair."""
    return [json.loads((folder / f"sampled-{rank}.json").read_text()) for rank in (0, 1)]


def test_the_offline_part_is_one_process_s(checkpoint, tmp_path):
    plain = {"optim": "sgd", "learning_rate": 0.1, "logging_steps": 1}
    alone = launch(checkpoint, tmp_path / "one", plain | {"per_device_train_batch_size": 8}, processes=1)
    both = launch(checkpoint, tmp_path / "two", plain | {"per_device_train_batch_size": 4})
    one, two = weights(alone), weights(both)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6, msg=name)
    logs = [json.loads((folder / "log.json").read_text()) for folder in (alone, both)]
    losses = [[entry["loss"] for entry in log if "loss" in entry] for log in logs]
    assert len(losses[0]) == 6 and losses[1] == pytest.approx(losses[0], abs=1e-5)


def test_rollouts_are_each_rank_s_own_and_reproducible(checkpoint, tmp_path):
    settings = {"per_device_train_batch_size": 4, "r": 0.2, "p": 0.3, "g": 0.3}
    first, again = (launch(checkpoint, tmp_path / name, settings) for name in ("first", "again"))
    ranks = sampled(first)
    assert all(ranks) and sampled(again) == ranks
    prompts = [{tuple(pair[0]) for pair in rank} for rank in ranks]
    assert not prompts[0] & prompts[1]
    for rank in (0, 1):  # six prompts a refill are three for each of two
        assert set(json.loads((first / f"refills-{rank}.json").read_text())) == {3}
    assert (again / "final.safetensors").read_bytes() == (first / "final.safetensors").read_bytes()


def test_a_rank_that_generates_nothing_is_not_waited_for(checkpoint, tmp_path):
    settings = {"per_device_train_batch_size": 4, "p": 0.5, "only_rank": 1}
    nothing, pairs = sampled(launch(checkpoint, tmp_path / "run", settings))
    assert nothing == [] and len(pairs) >= 24  # six steps of four rows


def test_ranks_that_share_the_parameters_sample_together(checkpoint, tmp_path):
    """Where one rank needs pairs all sample: no rank waits in vain for another's part of the parameters."""
    settings = {"per_device_train_batch_size": 4, "p": 0.5, "only_rank": 1, "sharded": True}
    idle, pairs = sampled(launch(checkpoint, tmp_path / "run", settings))
    assert len(idle) == len(pairs) >= 24 and idle != pairs


def test_accelerate_has_no_fsdp_on_a_cpu(tmp_path):
    """If this fails, it has by now: then config/accelerate/fsdp2.yaml can be tested there, and the texts say less."""
    script = tmp_path / "script.py"
    lines = (
        "from accelerate import Accelerator",
        "found = Accelerator(cpu=True).distributed_type",
        "print(found.value)",
    )
    script.write_text("\n".join(lines))
    environment = os.environ | {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert "".join(done.stdout.split()) == "MULTI_CPU" * 2, done.stdout + done.stderr[-2000:]


def test_sharded_parameters_are_gathered_once_for_a_generation(checkpoint, tmp_path):
    """accelerate has no FSDP on a CPU, torch has: its shards are given back, and training goes on."""
    folder = launch(checkpoint, tmp_path / "run", {"shard_and_generate": True})
    found = [json.loads((folder / f"gathered-{rank}.json").read_text()) for rank in (0, 1)]
    assert [result["tokens"] for result in found] == [12, 3]  # each rank as many as it likes
    for result in found:
        assert result["as_unsharded"] and result["sharded_again"] and result["trains"] and result["synced"]
