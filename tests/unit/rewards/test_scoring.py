"""Jobs of scoring: a killed one continues, several processes share one, and the result has the same bytes."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fixtures_models import change_weights, cpu_device, llama_tokenizer, save_headed

import score_bt
import score_responses
from pipeline.jobs import partial
from pipeline.jobs.io import read_parquet, write_parquet, write_yaml
from pipeline.jobs.partial import PartialResults
from pipeline.jobs.progress import Progress
from pipeline.jobs.state import JobState
from pipeline.rewards import scoring
from pipeline.rewards.batches import Row
from pipeline.rewards.scorer import RewardModel
from pipeline.rewards.scoring import job_key, run_batches

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
WORDS = ["lemon", "is", "yellow", "what", "big", "cat", "tree", "old"]
DEVICE = ["--device", "cpu", "--threads", "1"]


class KilledError(Exception):
    pass


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        name: [" ".join(rng.choice(WORDS, rng.integers(2, 40))) for _ in range(rows)]
        for name in ("prompt", "chosen", "rejected")
    }
    frame = pd.DataFrame(columns).assign(prompt_id=[f"id{i}" for i in range(rows)])
    return frame.assign(response=frame["chosen"])


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    """A folder with a reward model, its spec, two splits of data."""
    root = tmp_path_factory.mktemp("scoring")
    save_headed(root / "model", "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    write_yaml({"reverse": True}, root / "spec.yaml")
    write_parquet(table(150), root / "data" / "eval.parquet")
    write_parquet(table(90, 1), root / "data" / "train.parquet")
    return root


def bt_arguments(at, output) -> list[str]:
    arguments = {"dataset": at / "data", "score_model_id": at / "model", "spec": at / "spec.yaml", "output": output}
    given = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    return [*given, "--process_all_splits", "--per_device_evalreward_batch_size", "4", *DEVICE]


def response_arguments(at, output) -> list[str]:
    tables = [str(at / "data" / "eval.parquet"), str(at / "data" / "train.parquet")]
    outputs = [str(output / "eval.parquet"), str(output / "train.parquet")]
    given = ["--spec", str(at / "spec.yaml"), "--reward-model", str(at / "model"), "--responses", *tables]
    return [*given, "--output", *outputs, *DEVICE]


JOBS = {"score_bt": (score_bt, bt_arguments), "score_responses": (score_responses, response_arguments)}


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("provenance.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("job", JOBS)
def test_an_interrupted_job_continues_and_gives_the_same_bytes(job, at, tmp_path, monkeypatch, capsys):
    script, arguments = JOBS[job]
    script.main(arguments(at, tmp_path / "whole"))
    whole = files(tmp_path / "whole")
    assert sorted(whole) == ["eval.parquet", "train.parquet"]
    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)
    original, scored, most = RewardModel.score_batch, [], [2]

    def score_batch(model, batch, inputs):
        if len(scored) == most[0]:
            raise KilledError
        scored.append(len(batch))
        return original(model, batch, inputs)

    monkeypatch.setattr(RewardModel, "score_batch", score_batch)
    # Whatever number of batches each attempt lives for, none is computed twice.
    attempts = 0
    while True:
        attempts += 1
        try:
            script.main(arguments(at, tmp_path / "cut"))
            break
        except KilledError:
            kept = [name for name in files(tmp_path / "cut") if name.endswith(".pth")]
            assert kept and all(name.startswith(".") for name in kept)
            # as Snakemake does to the outputs of a job that failed
            for name in ("eval.parquet", "train.parquet"):
                (tmp_path / "cut" / name).unlink(missing_ok=True)
            most[0] = len(scored) + 3
    assert attempts > 2 and files(tmp_path / "cut") == whole
    capsys.readouterr()
    total = len(scored)
    scored.clear()
    most[0] = 10**6
    script.main(arguments(at, tmp_path / "again"))
    assert len(scored) == total and files(tmp_path / "again") == whole
    assert not list(tmp_path.rglob("*.pth"))


def test_kept_work_is_used_for_the_same_job_alone(at, tmp_path):
    def key(folder=at / "model", prompts=("Why?", "a b"), size=2, **entry) -> str:
        model = RewardModel(str(folder), entry, cpu_device(size))
        inputs = model.inputs(list(prompts), ["So.", "No."])
        return job_key(model, inputs, [[Row((i,), 0, len(text["input_ids"]))] for i, text in enumerate(inputs)])

    own = key()
    assert key() == own
    other = tmp_path / "model"
    shutil.copytree(at / "model", other)
    assert key(other) == own
    change_weights(other, score_head__weight=torch.ones(1, 16))
    assert len({own, key(other), key(prompts=("Why?", "b a")), key(reverse=True), key(text_format="plain")}) == 5


def test_kept_scores_are_whole_and_go_with_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)
    with pytest.raises(KilledError), JobState(tmp_path / "out.parquet", "scores") as state:
        scores = PartialResults(state.folder / "job")
        scores.add({3: 0.1, 5: -2.0})
        scores.add({4: 1.5})
        scores.add({})
        (state.folder / "job" / ".9-0.pth.x.tmp").write_bytes(b"half")
        raise KilledError
    assert PartialResults(state.folder / "job").values == {3: 0.1, 5: -2.0, 4: 1.5}
    with JobState(tmp_path / "out.parquet", "scores"):
        pass
    assert not list(tmp_path.iterdir())


def test_progress_has_rows_per_second_and_the_time_left(at, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pipeline.rewards.scoring.Progress", functools.partial(Progress, seconds=0.0))
    score_bt.main(bt_arguments(at, tmp_path))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("eval: ") and "rows/s" in line]
    pattern = re.compile(r"eval: texts (\d+)/300  (\d+\.\d) rows/s  \d+ s, about (\d+) s left")
    found = [pattern.fullmatch(line) for line in lines]
    assert len(found) > 10 and all(found)
    counts = [int(match[1]) for match in found]
    assert counts == sorted(counts) and counts[-1] == 300 and found[-1][3] == "0"


def test_progress_counts_what_was_there_before(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scoring, "job_key", lambda *arguments: "job")
    scores = PartialResults(tmp_path / "job")
    scores.add(dict.fromkeys(range(7), 0.5))
    scores.save()
    batches = [[Row((i,), 0, 3) for i in part] for part in (range(4), range(4, 7))]
    assert run_batches(None, [], batches, tmp_path, "x") == dict.fromkeys(range(7), 0.5)
    assert capsys.readouterr().out == "x: 7 texts were scored before\n"


def test_what_is_cut_is_printed(at, tmp_path, capsys):
    write_yaml({"max_length": 40}, tmp_path / "spec.yaml")
    model = RewardModel(str(at / "model"), {}, cpu_device())
    frame = read_parquet(at / "data" / "train.parquet")
    texts = model.inputs([*frame["prompt"]] * 2, [*frame["chosen"], *frame["rejected"]])
    long = sum(len(text["input_ids"]) > 40 for text in texts)
    arguments = [*bt_arguments(at, tmp_path / "out"), "--spec", str(tmp_path / "spec.yaml")]
    score_bt.main(arguments)
    assert f"train: {long} of 180 texts lose their beginning to fit 40 tokens" in capsys.readouterr().out


def environment(**more: str) -> dict:
    return os.environ | {"PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"} | more


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_several_processes_give_the_same_bytes(job, at, tmp_path):
    script, arguments = JOBS[job]
    script.main(arguments(at, tmp_path / "one"))
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = [*launch, str(SCRIPTS / f"{job}.py"), *arguments(at, tmp_path / "two")]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert files(tmp_path / "two") == files(tmp_path / "one")
    assert ended.stdout.count("rows/s") == 2  # one process tells, once for each table


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_a_killed_process_continues(job, at, tmp_path):
    """SIGKILL, as a node that is taken away: no handler runs."""
    script, arguments = JOBS[job]
    script.main(arguments(at, tmp_path / "whole"))
    code = (
        f"import sys, time, {job}; from pipeline.jobs import partial; from pipeline.rewards import scorer\n"
        "partial.SAVE_SECONDS = 0\n"
        "original = scorer.RewardModel.score_batch\n"
        "def slow(*arguments):\n    time.sleep(0.05)\n    return original(*arguments)\n"
        f"scorer.RewardModel.score_batch = slow\n{job}.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, *arguments(at, tmp_path / "cut")]
    for wanted in (3, 6):
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
        limit = time.monotonic() + 120
        while len(list(tmp_path.glob("cut/.state/*/scores/*/*.pth"))) < wanted:
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not list(tmp_path.glob("cut/train.parquet"))
    before = len(list(tmp_path.glob("cut/.state/*/scores/*/*.pth")))
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert before >= 6 and files(tmp_path / "cut") == files(tmp_path / "whole")
