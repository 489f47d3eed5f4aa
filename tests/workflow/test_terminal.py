"""What Snakemake prints of a small workflow with the pipeline's own display: on terminals, into files, in dry runs."""

import os
import re
import subprocess
import sys
import tempfile

import pytest
from fixtures_terminal import Terminal, plain

from workflow.snakemake_copy import REPOSITORY, read_plan, snakemakes

# Two jobs that train, of which one may fail, and one that judges them; said by the rules that the pipeline has for it.
SNAKEFILE = f"""
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

sys.path.insert(0, {str(REPOSITORY / "scripts")!r})
from pipeline.jobs.forecast import expected_seconds

settings = SimpleNamespace(tag="mine", device="cpu", config={{}}, device_entry=lambda: {{"accelerator": "cpu"}})


def costs(jobs, cores, gpus):
    return expected_seconds(jobs, "results/benchmarks"), "by the times of earlier jobs", []



include: {str(REPOSITORY / "rules/forecast.smk")!r}


rule all:
    input:
        "judged.txt",


rule train:
    output:
        "model-{{seed}}-with-a-name-so-long-that-nobody-wants-to-read-it-again-and-again.txt",
    log:
        "logs/train/{{seed}}.log",
    benchmark:
        "results/benchmarks/train/{{seed}}.tsv"
    params:
        fails=config.get("fails", 0),
    shell:
        "(seq 1000; sleep 1.2; [ {{wildcards.seed}} != {{params.fails}} ] || printf 'no seed \\\\303\\\\251\\\\n'; "
        "[ {{wildcards.seed}} != {{params.fails}} ]; touch {{output}}) > {{log}} 2>&1"


rule judge:
    input:
        expand(rules.train.output, seed=[1, 2]),
    output:
        "judged.txt",
    log:
        "logs/judge.log",
    benchmark:
        "results/benchmarks/judge.tsv"
    shell:
        "cat {{input}} > {{output}} 2> {{log}}"


onstart:
    announce_plan()
    if config.get("wrong"):
        raise WorkflowError("config: seed: unknown key\\n\\nThis would be right, for example:\\nseeds:\\n- 1")


onsuccess:
    end_output()


onerror:
    end_output()
"""
NAME = "with-a-name-so-long"
VARIABLES = ("SNAKEMAKE_PROFILE", "PYTHONPATH", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_ALL", "LANG")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    return tmp_path


# What Python reads when it starts, which is too early for a fork.
AT_THE_START = {"PYTHONPATH", "PYTHONIOENCODING", "PYTHONUTF8"}


def run(folder, *arguments, code=0, terminal=None, **variables):
    """What Snakemake printed, into a file or on a terminal (its columns and lines)."""
    command = ["-m", "snakemake", "-j2", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {"TERM": "xterm", **variables}
    if terminal is not None:
        screen = Terminal(*terminal)
        ended = start(command, folder, environment, screen.slave, screen.slave)
        text = screen.close()
    else:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output, open(os.devnull) as nothing:
            ended = start(command, folder, environment, nothing.fileno(), output.fileno())
            output.seek(0)
            text = output.read()
    assert ended == code, text
    return text


def start(command, folder, environment, source, output):
    """Run Python with a place to read from and one to print to; its exit code."""
    if not AT_THE_START & environment.keys():
        return snakemakes().run(command, folder, environment, output, 300, source)
    options = {"stdin": source, "stdout": output, "stderr": output, "timeout": 300, "check": False}
    environment = {"PYTHONHASHSEED": "0", **environment}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, **options).returncode


def test_a_file_gets_short_lines(folder):
    text = run(folder)
    told = re.findall(r"^\d\d:\d\d:\d\d (.*)", text, re.MULTILINE)
    assert sorted(told[:2]) == ["started train seed=1", "started train seed=2"]
    assert re.fullmatch(r"done train seed=[12] in \d s, 2 of 3 jobs left( \(> \d s\))?", told[2])
    assert re.fullmatch(r"done train seed=[12] in \d s, 1 of 3 jobs left", told[3]), "judge never ran before"
    assert told[4] == "started judge" and re.fullmatch(r"done judge in \d s, 0 of 3 jobs left", told[5])
    assert len(told) == 6 and NAME not in text and "\x1b" not in text
    assert "Config mine on device cpu (CPU, 2 cores): 2 train, 1 judge" in text and re.search(r"train +2", text)
    assert "Complete log(s)" in text and "Traceback" not in text
    logs = "".join(path.read_text() for path in folder.glob(".snakemake/log/*.log"))
    assert NAME in logs and "localrule train:" in logs, "all of it is in Snakemake's own log"


@pytest.mark.parametrize("terminal", [None, (100, 40)], ids=["file", "terminal"])
def test_a_failed_job_is_told_by_its_log_and_last_lines(folder, terminal):
    text = plain(run(folder, "--config", "fails=2", code=1, terminal=terminal))
    block = text[text.index("Error in rule train:\n") :]
    lines = [*(f"        {i}" for i in range(987, 1001)), "        no seed é"]
    assert re.match(r"Error in rule train:\n    job \d: train seed=2\n    log: logs/train/2\.log\n", block)
    assert block.splitlines()[3:18] == lines, block
    assert "The command returned non-zero exit status 1." in text and "        986" not in text
    assert NAME not in text and "At least one job did not complete successfully." in text


@pytest.mark.parametrize("terminal", [None, (100, 40)], ids=["file", "terminal"])
def test_errors_of_the_workflow_are_whole(folder, terminal):
    text = plain(run(folder, "--config", "wrong=1", code=1, terminal=terminal))
    error = "config: seed: unknown key\n\nThis would be right, for example:\nseeds:\n- 1"
    assert text.count(error) == 1 and "started" not in text


def test_a_terminal_gets_a_table_and_bars_with_the_time_left(folder):
    run(folder)
    text = run(folder, "--forceall", terminal=(100, 40))
    shown = plain(text)
    assert re.search(r"rule +jobs +about *\ntrain +2 +\d s *\njudge +1 +1 s *\nall jobs +3 +\d s", shown)
    assert re.search(r"train     ━{30}  0/2  2 running  \d s left", shown)
    assert re.search(r"judge     ━{30}  0/1 +1 s left", shown)
    last = shown[shown.rindex("train     ") :]
    assert re.match(r"train     ━{30}  2/2 *\n+judge     ━{30}  1/1 *\n+all jobs  ━{30}  3/3 *\n+Complete log", last)
    assert "SNAKEMAKE" not in shown and "started" not in shown and NAME not in shown
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_narrow_and_low_terminals_get_what_fits(folder):
    shown = plain(run(folder, terminal=(24, 4)))
    assert re.search(r"train     0/2", shown) and re.search(r"all jobs  3/3", shown) and "and 1 more" in shown
    assert "━" not in shown and "Traceback" not in shown


def test_terminals_without_utf8_and_colours(folder):
    variables = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    text = run(folder, "--config", "fails=2", code=1, terminal=(100, 40), NO_COLOR="1", **variables)
    assert "Traceback" not in text and "--- Logging error" not in text and "1/2" in text and "1 failed" in text
    assert "━" not in text and not re.search(r"\x1b\[[\d;]*(3[0-8]|9\d)[\d;]*m", text)


def test_a_dumb_terminal_gets_lines(folder):
    text = run(folder, terminal=(100, 40), TERM="dumb")
    assert "started train seed=1\n" in text and "0 of 3 jobs left" in text and "\x1b" not in text


def neutral(text):
    """The lines of a dry run without what differs between two of them: the times, and the order of equal jobs."""
    text = re.sub(r"\[\w{3} \w{3} [ \d:]+\]|^  (Date|Workflow ID): .*$", "[time]", text, flags=re.MULTILINE)
    return sorted(text.splitlines())


@pytest.mark.parametrize(
    ("options", "terminal"), [(("-n",), None), (("-n", "-p"), None), (("-n", "-p"), (100, 40))], ids=str
)
def test_dry_runs_are_snakemakes_own(folder, options, terminal):
    text = run(folder, *options, terminal=terminal)
    include = f"include: {str(REPOSITORY / 'rules/forecast.smk')!r}"
    assert include in SNAKEFILE
    own = SNAKEFILE.replace(include, "announce_plan = end_output = print")
    (folder / "Snakefile").write_text(own, encoding="utf-8")
    assert neutral(run(folder, *options, terminal=terminal)) == neutral(text)
    found = plain(text)
    assert {(job.rule, job.wildcards) for job in read_plan(found)} == {
        *(("all", ()), ("judge", ()), ("train", ("1",)), ("train", ("2",))),
    }
    assert found.count("reason: ") == 4 and ("touch model-1" in found) == ("-p" in options)


def test_commands_are_printed_where_they_are_asked_for(folder):
    text = run(folder, "-p")
    assert "wildcards: seed=1" in text and f"touch model-1-{NAME}" in text and "reason: Missing output files" in text
    assert "done train seed=1" in text


def test_another_logger_plugin_that_is_asked_for_prints(folder):
    (folder / "plugins/snakemake_logger_plugin_mine").mkdir(parents=True)
    (folder / "plugins/snakemake_logger_plugin_mine/__init__.py").write_text(
        "from snakemake_interface_logger_plugins.base import LogHandlerBase\n\n\n"
        "class LogHandler(LogHandlerBase):\n"
        "    writes_to_stream, writes_to_file, has_filter = True, False, False\n"
        "    has_formatter, needs_rulegraph = False, False\n\n"
        "    def emit(self, record):\n        print('MINE', getattr(record, 'event', None))\n"
    )
    text = run(folder, "--logger", "mine", PYTHONPATH=str(folder / "plugins"))
    assert text.count("MINE job_info") == 4 and "started train" not in text


def test_without_rich_a_terminal_gets_lines_and_a_word_on_what_to_install(folder):
    (folder / "hidden/rich").mkdir(parents=True)
    (folder / "hidden/rich/__init__.py").write_text("raise ModuleNotFoundError('rich')\n")
    text = plain(run(folder, terminal=(100, 40), PYTHONPATH=str(folder / "hidden")))
    assert text.count("pip install rich") == 1 and "started train seed=1\n" in text and "Traceback" not in text


@pytest.mark.parametrize("arguments", [(), ("-s", "workflow/Snakefile")], ids=["Snakefile", "workflow"])
def test_the_pipelines_own_workflow_prints_so(fresh, arguments):
    if arguments:
        (fresh.folder / "workflow").mkdir()
        (fresh.folder / "workflow/Snakefile").write_text((REPOSITORY / "workflow/Snakefile").read_text())
    text = fresh.snakemake("results/specs/data/small.yaml", *arguments)
    assert re.search(r"^\d\d:\d\d:\d\d started write_\w+ .*small", text, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d done write_\w+ .*small.* in \d+ s, 0 of 1 jobs left$", text, re.MULTILINE)
