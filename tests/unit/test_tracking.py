"""Records for Weights & Biases: what offline runs hold, that training stays the same, that no network is waited for."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from fixtures_models import cpu_device
from fixtures_results import DPO, DPR, build_results
from fixtures_wandb import offline_files, read_offline_run

import track_winrates
from pipeline.jobs.io import read_json, write_csv
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import read_table, winrate_table
from pipeline.tracking import OFF, answers, start_run, tracking_mode
from pipeline.training.running import train_and_save
from pipeline.training.sft import sft_trainer
from pipeline.training.tracking import track

KEY = "canary" * 7
ARCHITECTURE = {"model_type": "qwen2", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
ENTRY = {
    "architecture": ARCHITECTURE | {"intermediate_size": 32, "max_position_embeddings": 64},
    **{"vocab_size": 300, "adapter": "none", "plain_template": "{prompt}"},
}
SFT = {
    **{"learning_rate": 1e-2, "epochs": 1, "max_steps": 25, "warmup_steps": 0, "lr_scheduler": "constant"},
    **{"optimizer": "adamw_torch", "weight_decay": 0.0, "max_length": 64, "global_batch_size": 4, "seed": 0},
    "responses": "chosen",
}
FRAME = pd.DataFrame(
    [(f"What is {word}?", f"It is {word}.", "No.") for word in ("red", "blue", "old", "sour", "big", "small")],
    columns=["prompt", "chosen", "rejected"],
)


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """A folder of its own, and no setting of the machine's."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def train(folder, project):
    spec = {"dataset": "mine", "model": {"name": "tiny", **ENTRY}, "sft": SFT}
    trainer = sft_trainer(spec, FRAME, cpu_device(), str(folder / "scratch"))
    track(trainer, project, "mine/tiny/sft", "mine", "train_sft", spec)
    train_and_save(trainer, trainer.processing_class, folder, cpu_device())
    return spec


def test_the_curve_and_config_of_a_training_are_read_back_and_the_training_is_the_same(tmp_path):
    spec = train(tmp_path / "tracked", "project")
    train(tmp_path / "plain", OFF)
    for name in ("model/model.safetensors", "metrics.parquet"):
        assert (tmp_path / "tracked" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    [file] = offline_files(tmp_path)
    run = read_offline_run(file)
    assert (run.project, run.name, run.group, run.job_type) == ("project", "mine/tiny/sft", "mine", "train_sft")
    assert run.config["sft"] == spec["sft"] and run.config["model"]["architecture"] == ENTRY["architecture"]
    assert run.exit_code == 0
    curve = pd.read_parquet(tmp_path / "tracked/metrics.parquet")
    losses = curve[curve["metric"] == "loss"].set_index("step")["value"].to_dict()
    assert list(losses) == [10, 20, 25]
    assert {row["_step"]: row["train/loss"] for row in run.history if "train/loss" in row} == pytest.approx(losses)
    assert run.summary["train/loss"] == pytest.approx(losses[25])


@pytest.fixture(scope="module")
def winrates(tmp_path_factory):
    """The file of a table of win rates."""
    folder = tmp_path_factory.mktemp("winrates")
    write_csv(winrate_table(read_run_table(build_results(folder / "runs")), 50, refits=5), folder / "winrate.csv")
    return folder / "winrate.csv"


def arguments(winrates):
    return ["--winrate", str(winrates), "--tag", "mine", "--wandb", "project"]


def test_the_win_rates_are_read_back_with_their_intervals(winrates, tmp_path):
    track_winrates.main([*arguments(winrates), "--output", str(tmp_path / "tracked.json")])
    record = read_json(tmp_path / "tracked.json")
    [file] = offline_files(tmp_path)
    assert (
        record["offline"]
        and record["project"] == "project"
        and Path(record["folder"]) == Path("wandb", file.parent.name)
    )
    run = read_offline_run(file)
    table = read_table(winrates)
    for row in table.to_dict("records"):
        for name in ("win_rate", "win_rate_low", "win_rate_high"):
            assert run.summary[f"world/W1M/{row['run']}/{row['baseline']}/{name}"] == pytest.approx(row[name])
    assert {(row["run"], row["baseline"]) for row in table.to_dict("records")} >= {(DPO, "chosen"), (DPR, DPO)}
    [media] = file.parent.rglob("*.table.json")
    kept = read_json(media)
    assert kept["columns"] == list(table.columns) and len(kept["data"]) == len(table)


def test_rates_on_sets_of_prompts_have_the_sets_names(winrates, tmp_path):
    eval_rows = pd.read_csv(winrates)
    frames = [eval_rows.assign(set=name, win_rate=rate) for name, rate in (("eval", 60.0), ("mine", 70.0))]
    write_csv(pd.concat(frames), tmp_path / "both.csv")
    track_winrates.main([*arguments(tmp_path / "both.csv"), "--output", str(tmp_path / "tracked.json")])
    [file] = offline_files(tmp_path)
    summary = read_offline_run(file).summary
    assert summary[f"world/W1M/{DPR}/{DPO}/win_rate"] == 60.0
    assert summary[f"world/W1M/mine/{DPR}/{DPO}/win_rate"] == 70.0


@contextmanager
def silent_server():
    """A server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def refusing_server():
    """A server that answers, but knows nothing of what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *arguments):
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def no_server():
    yield "http://127.0.0.1:9"


def test_how_runs_are_recorded(monkeypatch, capsys):
    assert tracking_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with refusing_server() as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        assert answers(address) and tracking_mode() == "online"
        for mode in ("offline", "disabled"):
            monkeypatch.setenv("WANDB_MODE", mode)
            assert tracking_mode() == mode
        monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert tracking_mode() == "offline"
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().out


@pytest.mark.parametrize("server", [silent_server, no_server, refusing_server])
def test_no_network_is_waited_for_and_the_run_is_kept_in_files(server, winrates, tmp_path):
    """A key, but a server that is silent, absent, or no server of Weights & Biases."""
    environment = {**os.environ, "WANDB_API_KEY": KEY}
    with server() as address:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, track_winrates.__file__, *arguments(winrates), "--output", "tracked.json"],
            env=environment | {"WANDB_BASE_URL": address},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        seconds = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert seconds < 60
    assert read_json(tmp_path / "tracked.json")["offline"]
    run = read_offline_run(tmp_path / offline_files(tmp_path)[-1])
    assert f"world/W1M/{DPO}/chosen/win_rate" in run.summary
    assert "recorded in files" in done.stdout
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in done.stdout + done.stderr


def test_a_disabled_run_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    start_run("project", "name", "group", "kind", {}).finish()
    assert not list(tmp_path.rglob("*.wandb"))
