"""Snakemake's own records, from its own handlers, as they are printed on a terminal and into a file."""

import contextlib
import io
import logging
import os
import re
import sys

import pytest
from fixtures_terminal import Terminal, plain
from snakemake.logging import LoggerManager
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.jobs.forecast import PlannedJob
from pipeline.terminal.output import NO_RICH, OWN, take_over
from pipeline.terminal.run import Run

FILES = [f"results/responses/world/W1M/run{i}/seed1/eval.parquet" for i in range(50)]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def file():
    return io.StringIO()


@pytest.fixture
def terminal(monkeypatch):
    found = Terminal()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    with os.fdopen(os.dup(found.slave), "w", buffering=1) as found.stream:
        yield found
    found.close()


class Snakemake:
    """What Snakemake logs of a run of two jobs of one rule, one after the other."""

    def __init__(self, tmp_path, stream, **settings):
        self.settings = OutputSettings(**settings)
        self.logger = logging.Logger("snakemake.test")
        with contextlib.redirect_stderr(stream), contextlib.redirect_stdout(stream):
            self.manager = LoggerManager(self.logger, self.settings)
        self.output = take_over(self.logger, self.settings)
        self.log = tmp_path / "train.log"

    def say(self, message, level=logging.INFO, **fields):
        self.logger.log(level, message, extra=fields)

    def begin(self, **options):
        self.say("Using shell: /usr/bin/bash")
        self.say("Workflow has started!", event=LogEvent.WORKFLOW_STARTED, **dict.fromkeys(HEADER, "here"))
        stats = {"train_policy": 2, "total": 2}
        self.say("Job stats:\ntrain_policy 2", event=LogEvent.RUN_INFO, stats=stats)
        jobs = [PlannedJob("train_policy", number=1), PlannedJob("train_policy", needs=(0,), number=2)]
        self.output.begin(Run(jobs, [60.0, 60.0], cores=2), **options)

    def start(self, number):
        self.say("Select jobs to execute...")
        self.say("Execute 1 jobs...", event=LogEvent.JOB_STARTED, jobs=[number])
        command = f"python scripts/train_policy.py --data {' '.join(FILES)} > {self.log} 2>&1"
        fields = {"input": FILES, "output": [f"model{number}"], "log": [str(self.log)], "benchmark": None}
        fields |= {"wildcards": {"run": "dpo", "seed": str(number)}, "reason": "Missing output files: model"}
        fields |= {"resources": {"gpu": 1}, "priority": 0, "threads": 1, "indent": False, "local": False}
        fields |= {"rule_name": "train_policy", "rule_msg": None, "jobid": number, "is_checkpoint": False}
        self.say("Rule", event=LogEvent.JOB_INFO, shellcmd=command, **fields)
        self.say(f"Shell command: {command}", event=LogEvent.SHELLCMD, shellcmd=command, indent=False)

    def finish(self, number):
        self.say(f"Finished jobid: {number}", event=LogEvent.JOB_FINISHED, job_id=number)
        self.say(None, event=LogEvent.PROGRESS, done=number, total=2)

    def fail(self, number):
        command = f"python scripts/train_policy.py --data {' '.join(FILES)} > {self.log} 2>&1"
        text = (
            f"RuleException:\nCalledProcessError in file \"train.smk\", line 3:\nCommand '{command}' returned non-zero "
        )
        self.say(f"{text}exit status 1.", logging.ERROR, event=LogEvent.ERROR, exception="RuleException")
        fields = {"rule_name": "train_policy", "rule_msg": None, "jobid": number, "input": FILES, "output": ["model"]}
        fields |= {"log": [str(self.log)], "conda_env": None, "aux": {}, "indent": False, "shellcmd": command}
        self.say("Error in rule", logging.ERROR, event=LogEvent.JOB_ERROR, **fields)


HEADER = (
    *("datetime", "workflow_id", "platform", "host", "user", "snakemake_version", "python_version", "cmd"),
    *("snakefile_main", "basedir", "rundir", "cwd", "configfiles", "config_md5"),
)


def lines(text):
    """Lines of a text, times of day as TIME."""
    return [re.sub(r"^\d\d:\d\d:\d\d ", "TIME ", line) for line in text.splitlines()]


def test_a_file_gets_a_short_line_for_each_start_and_end(tmp_path, file):
    run = Snakemake(tmp_path, file)
    run.begin()
    header = len(file.getvalue())
    for number in (1, 2):
        run.start(number)
        run.finish(number)
    assert lines(file.getvalue()[header:]) == [
        "TIME started train_policy run=dpo seed=1",
        "TIME done train_policy run=dpo seed=1 in 1 s, 1 of 2 jobs left (1 min)",
        "TIME started train_policy run=dpo seed=2",
        "TIME done train_policy run=dpo seed=2 in 1 s, 0 of 2 jobs left",
    ]
    assert "Job stats:" in file.getvalue() and "SNAKEMAKE" in file.getvalue() and "\x1b" not in file.getvalue()


def test_a_failure_shows_the_logs_place_and_last_lines_and_no_files(tmp_path, file):
    run = Snakemake(tmp_path, file)
    run.log.write_text("".join(f"line {i}\n" for i in range(1000)) + "error: rows.parquet: no column 'chosen'\n")
    run.begin()
    run.start(1)
    before = len(file.getvalue())
    run.fail(1)
    text = file.getvalue()[before:]
    assert 'CalledProcessError in file "train.smk", line 3:\nThe command returned non-zero exit status 1.' in text
    assert "Error in rule train_policy:\n    job 1: train_policy run=dpo seed=1\n" in text
    assert f"    log: {run.log}\n        line 986\n" in text
    assert text.endswith("        line 999\n        error: rows.parquet: no column 'chosen'\n")
    assert "line 985" not in text and "eval.parquet" not in text


def test_after_a_failure_it_says_what_will_not_run(tmp_path, file):
    run = Snakemake(tmp_path, file)
    run.output.begin(Run([PlannedJob("train_policy", number=number) for number in (1, 2, 3)], [None] * 3))
    for number in (1, 2):
        run.start(number)
    run.fail(1)
    run.finish(2)
    assert lines(file.getvalue())[-1].endswith(" in 1 s, 0 of 3 jobs left, 1 failed, 1 will not run")


def test_all_that_is_about_no_job_is_printed_as_ever(tmp_path, file):
    run = Snakemake(tmp_path, file)
    run.begin()
    before = len(file.getvalue())
    error = "WorkflowError:\nconfig: seed: unknown key (did you mean 'seeds'?)\n\nThis would be right:\nseeds:\n- 1"
    run.say("Job 3 has been submitted with SLURM jobid 9 (log: /a/b.log).")
    run.say(error, logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    run.say("Trying to restart job 1.")
    run.say("low on space", logging.WARNING)
    assert file.getvalue()[before:] == (
        "Job 3 has been submitted with SLURM jobid 9 (log: /a/b.log).\n"
        f"{error}\nTrying to restart job 1.\nlow on space\n"
    )


def test_commands_are_printed_where_they_are_asked_for(tmp_path, file):
    run = Snakemake(tmp_path, file, printshellcmds=True)
    run.begin()
    run.start(1)
    text = file.getvalue()
    assert f"rule train_policy:\n    input: {', '.join(FILES)}\n    output: model1" in text
    assert "reason: Missing output files: model" in text and "wildcards: run=dpo, seed=1" in text
    assert f"Shell command: python scripts/train_policy.py --data {' '.join(FILES)}" in text
    run.fail(1)
    assert f"    shell: python scripts/train_policy.py --data {' '.join(FILES)}" in file.getvalue()[len(text) :]


def test_whole_logs_are_printed_where_they_are_asked_for(tmp_path, file):
    run = Snakemake(tmp_path, file, show_failed_logs=True)
    run.log.write_text("".join(f"line {i}\n" for i in range(1000)))
    run.begin()
    run.start(1)
    run.fail(1)
    assert "line 0\nline 1\n" in file.getvalue() and "line 999\n" in file.getvalue()


@pytest.mark.parametrize(
    "settings", [{"dryrun": True}, {"quiet": {Quietness.RULES}}, {"verbose": True}, {"debug_dag": True}], ids=str
)
def test_snakemakes_own_output_stays_where_it_was_asked_for(tmp_path, file, settings):
    run = Snakemake(tmp_path, file, **settings)
    assert run.output is None and [handler.name for handler in run.logger.handlers] == [OWN]


def test_another_loggers_output_stays(tmp_path, file):
    run = Snakemake(tmp_path, file)
    other = logging.StreamHandler(file)
    run.logger.handlers[:] = [other]
    assert take_over(run.logger, run.settings) is None and run.logger.handlers == [other]


def test_without_a_plan_snakemakes_count_stays(tmp_path, file):
    run = Snakemake(tmp_path, file)
    run.start(1)
    run.finish(1)
    assert lines(file.getvalue()) == [
        *("TIME started train_policy run=dpo seed=1", "TIME done train_policy run=dpo seed=1 in 1 s"),
        "1 of 2 steps (50%) done",
    ]


def test_a_terminal_gets_a_table_then_bars_then_what_comes_after(tmp_path, terminal):
    run = Snakemake(tmp_path, terminal.stream)
    run.begin()
    run.start(1)
    run.say("Trying hard.")
    run.finish(1)
    run.start(2)
    run.finish(2)
    run.output.end()
    run.say("Elapsed time: 0:00:01")
    run.manager.stop()
    terminal.stream.close()
    text = terminal.close()
    shown = plain(text)
    assert "Job stats:" not in shown and "SNAKEMAKE" not in shown and "eval.parquet" not in shown
    assert "TIME" not in lines(shown) and "started" not in shown
    assert re.search(r"rule +jobs +about *\ntrain_policy +2 +1 min *\nall jobs +2 +2 min", shown), shown
    assert re.search(r"Trying hard\.\n+train_policy  ━+  0/2 +1 min left *\nall jobs      ━+  0/2 +2 min left", shown)
    last = shown[shown.rindex("train_policy") :]
    assert re.match(r"train_policy  ━+  2/2 *\nall jobs      ━+  2/2 *\n+Elapsed time", last)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is there again"


def test_bars_end_when_snakemake_ends_whatever_ends_it(tmp_path, terminal):
    run = Snakemake(tmp_path, terminal.stream)
    run.begin()
    run.start(1)
    run.log.write_text("error: no\n")
    run.fail(1)
    run.manager.stop()
    terminal.stream.close()
    text = terminal.close()
    assert "\x1b[?25h" in text[text.rindex("\x1b[?25l") :]
    assert "        error: no\n" in plain(text) and "1 failed" in plain(text)[plain(text).rindex("train_policy") :]


@pytest.mark.parametrize("term", ["dumb", "unknown", None])
def test_terminals_without_a_cursor_get_lines(tmp_path, terminal, monkeypatch, term):
    monkeypatch.delenv("TERM") if term is None else monkeypatch.setenv("TERM", term)
    run = Snakemake(tmp_path, terminal.stream)
    run.begin()
    run.start(1)
    terminal.stream.close()
    text = terminal.close()
    assert "started train_policy run=dpo seed=1" in text and "━" not in text, text


def test_there_are_no_colours_where_none_are_wanted(tmp_path, terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    run = Snakemake(tmp_path, terminal.stream)
    run.begin()
    run.start(1)
    run.fail(1)
    run.output.end()
    terminal.stream.close()
    assert not re.search(r"\x1b\[[\d;]*(3[0-8]|9\d)[\d;]*m", terminal.close())


def test_where_a_job_prints_itself_there_are_lines(tmp_path, terminal):
    run = Snakemake(tmp_path, terminal.stream)
    run.begin(bars=False)
    run.start(1)
    terminal.stream.close()
    text = plain(terminal.close())
    assert "Job stats:" in text and "started train_policy run=dpo seed=1\n" in text and "━" not in text


def test_without_rich_there_are_lines_and_a_word_on_what_to_install(tmp_path, terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.live", None)
    monkeypatch.delitem(sys.modules, "pipeline.terminal.screen", raising=False)
    monkeypatch.delattr("pipeline.terminal.screen", raising=False)
    run = Snakemake(tmp_path, terminal.stream)
    run.begin()
    run.start(1)
    run.finish(1)
    terminal.stream.close()
    text = plain(terminal.close())
    assert text.count(NO_RICH) == 1 and "pip install rich" in NO_RICH and "\n" not in NO_RICH
    assert "started train_policy run=dpo seed=1\n" in text and "Traceback" not in text
