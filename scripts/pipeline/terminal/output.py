"""The handler of Snakemake's log records that prints them for people."""

import logging
import os
import time
from contextlib import suppress
from typing import Any

from pipeline.jobs.forecast import duration
from pipeline.terminal.failures import describe_failure, shorten
from pipeline.terminal.run import UNKNOWN, Run

OWN = "DefaultStreamHandler"  # name of Snakemake's handler that prints
NO_RICH = "The package rich is not installed, so there are lines in place of bars: pip install rich"
# What says nothing of this workflow; all of it is in Snakemake's own log file.
NOISE = (
    *("Assuming unrestricted shared filesystem usage", "Using shell: ", "Rules claiming more threads"),
    *("Conda environments: ignored", "Singularity containers: ignored", "Select jobs to execute..."),
)


def take_over(logger: logging.Logger, settings: Any) -> "Output | None":
    """Put an `Output` in the place of Snakemake's handler that prints.

    Args:
        logger: Snakemake's.
        settings: its settings of output.

    Returns:
        None where there is no such handler, as a logger plugin prints, or where Snakemake's own output was asked for: a
        dry run, or one that is to say less (--quiet) or more (--verbose, --debug-dag) than usual.
    """
    asked = ("dryrun", "quiet", "verbose", "debug_dag")
    own = next((handler for handler in logger.handlers if handler.name == OWN), None)
    if own is None or any(getattr(settings, name, None) for name in asked):
        return None
    output = Output(own, settings.printshellcmds, settings.show_failed_logs)
    logger.handlers[logger.handlers.index(own)] = output
    return output


class Output(logging.Handler):
    """Prints what starts, ends and is left, and the last lines of failed jobs' logs; bars on a terminal.

    What is about no job, and errors other than those of jobs, Snakemake's own handler prints as ever.

    Args:
        own: that handler, with its stream, format and filters.
        commands: whether jobs are printed in full, with their shell lines (--printshellcmds).
        logs: whether the logs of failed jobs are printed in full (--show-failed-logs).
    """

    def __init__(self, own: Any, commands: bool = False, logs: bool = False):
        super().__init__()
        self.own, self.commands, self.logs = own, commands, logs
        self.filters, self.stream = own.filters, own.stream
        own.nocolor |= bool(os.environ.get("NO_COLOR"))
        # a terminal that cannot move its cursor is written to as a file is
        self.is_terminal = self.stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self.run, self.planned = Run(), False
        self.stats: logging.LogRecord | None = None
        self.bars = None

    def begin(self, run: Run, bars: bool = True) -> None:
        """The run's jobs are known: on a terminal, print them as a table and start the bars.

        Args:
            run: before its first job.
            bars: whether there may be any: not where jobs write to the terminal themselves.
        """
        with self.lock:
            self.run, self.planned = run, True
            if not (self.is_terminal and bars):
                return
            try:
                from pipeline.terminal import screen
            except ImportError:
                self._say(NO_RICH, logging.WARNING)
                return
            self.stats = None
            console = screen.console(self.stream, not self.own.nocolor)
            console.print(screen.plan_table(run.counts()))
            self.bars = screen.Bars(run.counts, console)
            self.own.setStream(screen.Above(console, self.stream))
            self.bars.live.start()

    def end(self) -> None:
        """Draw the bars for the last time."""
        if self.bars is not None:
            bars, self.bars = self.bars, None
            bars.live.stop()
            self.own.setStream(self.stream)

    def close(self) -> None:
        with suppress(ValueError, OSError):  # the terminal is gone
            self.end()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        tell = getattr(self, f"_tell_{event}", None)
        try:
            if tell is not None:
                tell(record)
            elif event != "job_started" and not str(record.msg).startswith(NOISE):
                self.own.emit(record)
        except (BrokenPipeError, KeyboardInterrupt):
            raise
        except Exception:
            self.handleError(record)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        self.own.emit(logging.makeLogRecord({"msg": text, "levelno": level, "levelname": logging.getLevelName(level)}))

    def _say_line(self, text: str) -> None:
        if self.bars is None:
            self._say(f"{time.strftime('%H:%M:%S')} {text}")

    def _tell_workflow_started(self, record) -> None:
        if not self.is_terminal:
            self.own.emit(record)

    def _tell_run_info(self, record) -> None:
        """Snakemake's table of jobs; on a terminal it waits for the plan, which has more to tell."""
        if self.is_terminal:
            self.stats = record
        else:
            self.own.emit(record)

    def _tell_job_info(self, record) -> None:
        if self.stats is not None:
            stats, self.stats = self.stats, None
            self.own.emit(stats)
        if not record.output and not record.shellcmd:  # a target: it runs nothing
            return
        wildcards = " ".join(f"{name}={value}" for name, value in record.wildcards.items() if value)
        name = record.rule_msg or f"{record.rule_name} {wildcards}".strip()
        self.run.start(record.jobid, record.rule_name, name)
        if self.commands:
            self.own.emit(record)
        else:
            self._say_line(f"started {name}")

    def _tell_job_finished(self, record) -> None:
        seconds = self.run.finish(record.job_id)
        if seconds is not None and self.bars is None:
            whole, text = self.run.counts()[-1], f"done {self.run.names[record.job_id]} in {duration(seconds)}"
            if self.planned:
                text += f", {whole.left} of {whole.total} jobs left"
                text += f" ({whole.time})" if whole.time not in ("", UNKNOWN) else ""
                text += f", {whole.failed} failed, {whole.lost} will not run" if whole.failed else ""
            self._say_line(text)

    def _tell_progress(self, record) -> None:
        if not self.planned:
            self.own.emit(record)

    def _tell_job_error(self, record) -> None:
        self.run.fail(record.jobid)
        if self.logs:
            self.own.emit(record)
        else:
            name = self.run.names.get(record.jobid, record.rule_name)
            command = record.shellcmd if self.commands else None
            self._say(describe_failure(record.__dict__, name, command), logging.ERROR)

    def _tell_error(self, record) -> None:
        """An error of Snakemake's: in full, but for the command of a job that failed."""
        message = record.msg if self.commands else shorten(str(record.msg))
        self.own.emit(logging.makeLogRecord({**record.__dict__, "msg": message}))
