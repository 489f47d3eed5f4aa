"""The page from verdicts of others: without a config, a run table or records."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pipeline.exchange.answers import read_answer
from pipeline.exchange.rows import read_rows
from pipeline.exchange.tables import table_of_others, winrates_of_others
from pipeline.exchange.votes import read_votes
from pipeline.metrics.bootstrap import RESAMPLES
from pipeline.metrics.comparison import REFITS
from pipeline.report import WITHOUT_RESPONSES, WITHOUT_RUNS, ReportInputs, render_report
from pipeline.results.tables import cost_table


def render_others(verdicts: str, responses: Iterable[str], reference: str | None = None) -> tuple[str, str]:
    """The whole page, and what it says of what is left out.

    Args:
        verdicts: file of verdicts, as `pipeline.exchange.votes` reads them.
        responses: files of responses, as `pipeline.exchange.answers` reads them.
        reference: run that the others are compared with; what most verdicts are against when None.

    Raises:
        InputError: a file is at fault, or the reference is no run.
    """
    votes = read_votes(read_rows(verdicts))
    answers = [read_answer(row) for path in responses for row in read_rows(path)]
    with tempfile.TemporaryDirectory() as folder:
        table = table_of_others(votes, answers, str(verdicts), Path(folder), reference)
        winrate = winrates_of_others(table, votes, Path(folder), RESAMPLES, 0, REFITS)
        left_out = WITHOUT_RUNS if table.paths("responses") else WITHOUT_RUNS | WITHOUT_RESPONSES
        page = render_report(ReportInputs(table, winrate, cost_table(table), left_out=left_out))
        return page.html(), table.note
