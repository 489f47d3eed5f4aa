"""What scripts print: bars as lines, no secrets; where secrets come from; configs that hold one."""

import io
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
import yaml
from tqdm import tqdm

from pipeline.config.entries import read_entries
from pipeline.config.settings import ConfigError, Settings
from pipeline.jobs import console
from pipeline.jobs.console import HIDDEN, LogStream, known_secrets, redact, secret_values

SCRIPTS = Path(console.__file__).resolve().parents[2]
CONFIG = SCRIPTS.parent / "config"
SMALL = {"tag": "a", "datasets": ["world"], "models": ["W1M"], "seeds": [1], "tasks": [{"method": "dpo"}]}
KEY = "canary-0123456789"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    return KEY


def test_secrets_are_known_by_their_names():
    values = {
        **{"OPENAI_API_KEY": "first-secret", "MY_SERVICE_TOKEN": "second-secret", "DB_PASSWORD": "third-secret"},
        **{
            "HF_TOKEN": "short",
            "TOKENIZERS_PARALLELISM": "false-and-long",
            "HOME": "/home/somebody",
            "EMPTY_TOKEN": None,
        },
    }
    assert secret_values(values) == ["second-secret", "first-secret", "third-secret"]


def test_a_secret_within_a_secret_is_hidden_too(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "inner-secret")
    monkeypatch.setenv("B_TOKEN", "the-inner-secret-outside")
    assert redact("x the-inner-secret-outside y inner-secret z") == f"x {HIDDEN} y {HIDDEN} z"


def test_a_secret_is_taken_out_of_bytes_too_and_short_ones_are_left(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "of-the-environment")
    text = "of-the-environment, given-key, short"
    assert redact(text, ["given-key", "short", ""]) == f"of-the-environment, {HIDDEN}, short"
    assert redact(text.encode() + b"\xff", ["given-key"]) == f"of-the-environment, {HIDDEN}, short".encode() + b"\xff"
    assert redact(text.encode()) == f"{HIDDEN}, given-key, short".encode()


def test_a_streams_lines_are_whole_and_hold_no_secret(key):
    file = io.StringIO()
    stream = LogStream(file)
    for part in ("token: ", key[:5], key[5:], "\nnext", " line\n\n"):
        stream.write(part)
    assert file.getvalue() == f"token: {HIDDEN}\nnext line\n\n"
    stream.write("no end " + key)
    assert key not in file.getvalue()
    stream.finish()
    assert file.getvalue().endswith(f"no end {HIDDEN}\n")


def test_a_progress_bar_is_a_line_from_time_to_time():
    file = io.StringIO()
    stream = LogStream(file, seconds=0.2)
    for _ in tqdm(range(100), desc="rows", file=stream, mininterval=0):
        time.sleep(0.01)
    lines = file.getvalue().splitlines()
    assert 2 <= len(lines) <= 30 and lines[-1].startswith("rows: 100%")
    assert all(line.startswith("rows: ") for line in lines)
    assert "\r" not in file.getvalue() and "\x1b" not in file.getvalue()


def test_bars_below_each_other_leave_no_control_characters():
    file = io.StringIO()
    stream = LogStream(file, seconds=0)
    for _ in tqdm(range(2), desc="outer", file=stream, mininterval=0):
        for _ in tqdm(range(2), desc="inner", file=stream, position=1, leave=False, mininterval=0):
            pass
    stream.finish()
    assert "outer: 100%" in file.getvalue()
    assert "\r" not in file.getvalue() and "\x1b" not in file.getvalue()


def run_script(folder, body, **environment):
    """A script of the workflow's kind whose main has that body."""
    code = f"""
        import sys
        sys.path.insert(0, {str(SCRIPTS)!r})
        import os
        from pipeline.jobs.io import InputError, run
        def main():
            {body}
        run(main)
    """
    (folder / "script.py").write_text(textwrap.dedent(code))
    kept = {name: value for name, value in os.environ.items() if name not in console.SECRETS}
    command = [sys.executable, "script.py"]
    done = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_scripts_read_the_env_file_and_the_environment_comes_first(tmp_path):
    (tmp_path / ".env").write_text("HF_TOKEN=of-the-file-123\nWANDB_API_KEY='of the file 4567'\n")
    body = "print([len(os.environ[name]) for name in ('HF_TOKEN', 'WANDB_API_KEY')])"
    assert run_script(tmp_path, body) == (0, "[15, 16]\n", "")
    assert run_script(tmp_path, body, HF_TOKEN="of-the-environment-0")[1] == "[20, 16]\n"


@pytest.mark.parametrize(
    ("body", "code", "shown"),
    [
        ("print('x', os.environ['HF_TOKEN'])", 0, f"x {HIDDEN}"),
        ("raise InputError('refused: ' + os.environ['HF_TOKEN'])", 1, f"error: refused: {HIDDEN}"),
        ("raise RuntimeError('refused: ' + os.environ['HF_TOKEN'])", 1, f"RuntimeError: refused: {HIDDEN}"),
        ("import logging; logging.warning(os.environ['HF_TOKEN'])", 0, f"WARNING:root:{HIDDEN}"),
    ],
)
def test_no_secret_is_printed_whatever_happens(tmp_path, body, code, shown):
    (tmp_path / ".env").write_text(f"HF_TOKEN={KEY}\n")
    returncode, out, err = run_script(tmp_path, body)
    assert returncode == code and shown in out + err and KEY not in out + err


def test_each_process_of_several_writes_its_own_log(tmp_path):
    """Beside the first one's, which says where they are, and who failed."""
    body = """
    from pipeline.jobs.io import InputError, run
    def main():
        rank = os.environ["RANK"]
        print("token of", rank, os.environ["HF_TOKEN"], flush=True)
        os.system(f"echo a program of {rank} >&2")
        if rank == "1":
            raise InputError("row 7 is wrong")
        sys.exit()
    run(main)
    """
    (tmp_path / "script.py").write_text("import os, sys\n" + textwrap.dedent(body))
    (tmp_path / "job.rank7.log").write_text("of a run of more processes")
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "WORLD_SIZE": "3", "HF_TOKEN": KEY}
    with (tmp_path / "job.log").open("w") as log:
        jobs = [
            subprocess.Popen(
                [sys.executable, "script.py"], cwd=tmp_path, env=environment | {"RANK": rank}, stdout=log, stderr=log
            )
            for rank in ("0", "1", "2")
        ]
        assert [job.wait(60) for job in jobs] == [0, 1, 0]
    logs = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
    own, other = [str(tmp_path / f"job.rank{rank}.log") for rank in (1, 2)]
    assert sorted(logs) == ["job.log", "job.rank1.log", "job.rank2.log"]
    printed = [f"token of {rank} {HIDDEN}\na program of {rank}\n" for rank in range(3)]
    assert logs["job.rank1.log"] == printed[1] + "error: row 7 is wrong\n" and logs["job.rank2.log"] == printed[2]
    assert sorted(logs["job.log"].splitlines()) == sorted(
        [
            f"the logs of the other processes: {own}, {other}",
            *printed[0].splitlines(),
            f"process 1 ended with an error, which is in {own}",
        ]
    )


@pytest.mark.parametrize("shared", [False, True])
def test_a_process_whose_output_goes_to_no_file_keeps_it(tmp_path, shared):
    """A pipe, or, as on a system that does not tell, a file without a name."""
    (tmp_path / "script.py").write_text("from pipeline.jobs.io import run\nrun(lambda: print('here'))\n")
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "WORLD_SIZE": "2", "RANK": "1"}
    with tempfile.TemporaryFile() as file:
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, env=environment, stdout=file if shared else subprocess.PIPE
        )
        file.seek(0)
        assert (file.read() if shared else done.stdout) == b"here\n" and not done.returncode
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_the_env_file_is_known_without_being_loaded(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / ".env").write_text(f"HF_TOKEN={KEY}\n")
    assert KEY in known_secrets(tmp_path) and "HF_TOKEN" not in os.environ


@pytest.mark.parametrize(
    ("change", "path", "what"),
    [
        ({"tag": KEY}, "tag", "a secret of the environment"),
        ({"definitions": {"models": {"m": {"path": f"x/{KEY}/y"}}}}, "definitions.models.m.path", "a secret of the"),
        ({"datasets": ["hf_" + "a1B2" * 9]}, "datasets[0]", "a Hugging Face token"),
        ({"judge": "sk-proj-" + "a1B2" * 9}, "judge", "an API key"),
        ({"judge": "0123456789abcdef" * 2 + "01234567"}, "judge", "a Weights & Biases key"),
        ({"device": "ghp_" + "a1B2" * 9}, "device", "a GitHub token"),
        ({"reward_model": "https://me:word@host/model"}, "reward_model", "an address with a password"),
        ({"openai_api_key": "anything"}, "openai_api_key", "a key or a password"),
        ({"publish": {"token": "anything"}}, "publish.token", "a key or a password"),
        ({"definitions": {"sk-" + "a1B2" * 9: {}}}, "definitions", "an API key"),
    ],
)
def test_a_config_that_holds_a_key_is_refused_without_showing_it(key, change, path, what):
    with pytest.raises(ConfigError) as error:
        Settings.from_config({**SMALL, **change})
    message = str(error.value)
    assert message.startswith(f"config: {path}: it looks like {what}") and "into a file .env" in message
    for secret in ("a1B2", KEY, "word@", "anything", "0123456789abcdef"):
        assert secret not in message


def test_what_only_resembles_a_key_is_taken():
    definitions = {"models": {"m": {"path": "o/hf_model", "revision": "0123456789abcdef" * 2 + "01234567"}}}
    Settings.from_config({**SMALL, "definitions": definitions, "models": ["m"]})
    for path in CONFIG.glob("*.yaml"):
        if "tasks" in (content := yaml.safe_load(path.read_text())):
            Settings.from_config(content)


def test_an_entrys_file_that_holds_a_key_is_named(key, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/models.yaml").write_text(f"m: {{path: {KEY}}}\n")
    with pytest.raises(ConfigError, match=r"^config/models.yaml: m\.path: it looks like"):
        read_entries("models", {}, tmp_path, "config")
