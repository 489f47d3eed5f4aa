"""What is said of a failed job: its log, and no more than the last lines of that."""

import pytest

from pipeline.terminal.failures import LINES, WIDTH, describe_failure, last_lines, shorten


def record(**fields):
    return {"rule_name": "train", "jobid": 7, "rule_msg": None, "conda_env": None, "log": [], "aux": {}} | fields


def test_of_a_log_the_last_lines_are_kept(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {i}\n\n" for i in range(100_000)))
    assert last_lines(log) == [f"line {i}" for i in range(100_000 - LINES, 100_000)]
    assert last_lines(log, 2) == ["line 99998", "line 99999"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "(it is empty)"),
        (b"\n \n", "(it is empty)"),
        (b"caf\xe9 \xff\n", "caf\ufffd \ufffd"),
        (b" 10%|#\r 50%|##\r100%|###\n", "100%|###"),
        (b"windows\r\n", "windows"),
        (b"\x1b[31mred\x1b[0m\x07 \x1b[2Jbell\x00\n", "red  bell "),
        (b"a\tb", "a\tb"),
        (b"x" * 5000, "x" * WIDTH),
    ],
)
def test_lines_are_such_as_a_terminal_can_show(tmp_path, content, found):
    (tmp_path / "a.log").write_bytes(content)
    assert last_lines(tmp_path / "a.log") == [found]


def test_without_a_log_file_it_says_why(tmp_path):
    assert last_lines(tmp_path / "nowhere.log") == ["(No such file or directory)"]
    assert last_lines(tmp_path) == ["(Is a directory)"]


def test_no_secret_of_the_environment_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "abcdefghijkl")
    (tmp_path / "a.log").write_text("refused: abcdefghijkl\n")
    assert last_lines(tmp_path / "a.log") == ["refused: [secret]"]


def test_a_failure_is_told_by_rule_job_log_and_last_lines(tmp_path):
    logs = [str(tmp_path / "a.log"), str(tmp_path / "b.log")]
    (tmp_path / "a.log").write_text("first\nlast\n")
    assert describe_failure(record(log=logs), "train seed=1").splitlines() == [
        "Error in rule train:",
        "    job 7: train seed=1",
        *(f"    log: {logs[0]}", "        first", "        last"),
        *(f"    log: {logs[1]}", "        (No such file or directory)"),
    ]


def test_what_else_is_known_of_a_failure_is_told_too():
    fields = record(rule_msg="lost", conda_env="/envs/a", aux={"external_jobid": "123", "nothing": None})
    assert describe_failure(fields, "train", "python a.py > b.log").splitlines()[2:] == [
        *("    message: lost", "    conda-env: /envs/a", "    external_jobid: 123", "    shell: python a.py > b.log"),
        "    log: none",
    ]


def test_an_errors_text_is_whole_but_for_the_command():
    files = " ".join(f"'results/{i}.parquet'" for i in range(100))
    head = 'RuleException:\nCalledProcessError in file "rules/train.smk", line 30:\n'
    for end in ("returned non-zero exit status 137.", "died with <Signals.SIGKILL: 9>."):
        assert shorten(f"{head}Command 'set -e;\npython {files}' {end}") == f"{head}The command {end}"
    for other in ("WorkflowError:\nconfig: seed: unknown key\n\nseeds:\n- 1", "Command 'x' was not found", ""):
        assert shorten(other) == other
