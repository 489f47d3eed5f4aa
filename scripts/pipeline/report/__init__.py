"""The report: one self-contained HTML file that opens offline and asks the network for nothing.

Everything in it that comes from data, models or configs is text: Jinja escapes it, the page's scripts set it as text
alone, and the page's content policy runs no script but the page's own and allows no request.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from pipeline.figures.overoptimisation import overoptimisation_figure
from pipeline.figures.winrates import figures
from pipeline.jobs.io import InputError
from pipeline.metrics.bootstrap import RESAMPLES
from pipeline.metrics.comparison import FEW_DRAWS
from pipeline.metrics.crossed import FEWEST_SEEDS
from pipeline.report.agreement import agreement_section
from pipeline.report.bad_answers import bad_answers_section, find_faults
from pipeline.report.by_cost import costs_section, with_costs
from pipeline.report.calibration import with_figures
from pipeline.report.cards import card_view
from pipeline.report.charts import Charts
from pipeline.report.controls import control_sentences, controls_section
from pipeline.report.embedding import Chunks
from pipeline.report.findings import answer_section
from pipeline.report.human_labels import Labels, RunLabels, find_labels
from pipeline.report.leaderboard import leaderboard_section
from pipeline.report.methods import methods_section
from pipeline.report.page import Page
from pipeline.report.parts import parts_section
from pipeline.report.power import with_power
from pipeline.report.responses import responses_section
from pipeline.report.results_table import results_section
from pipeline.report.section import Section
from pipeline.report.selection import selection_of
from pipeline.report.slices import find_slices, slices_section
from pipeline.results.agreement import find_agreement
from pipeline.results.run_table import RunTable, read_verdict_details
from pipeline.results.seed_table import seed_table

WITHOUT_RUNS = frozenset({"rewards", "training", "cost", "data"})
WITHOUT_RESPONSES = frozenset({"slices", "bad-answers", "responses"})


@dataclass(frozen=True)
class ReportInputs:
    """What the report is made from.

    Attributes:
        table: the run table.
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        cost: the cost table, likewise.
        cards: data cards; whatever keys they have are shown.
        scores: rows of the comparison of the runs' scores with the pairs', as `read_comparison` gives them.
        splits: calibration of the scored splits, as `read_calibration` gives it.
        pairs: per dataset a scored split of the judged prompts; a dataset may be missing.
        replies: judges' raw replies by request key, as `read_judgements` gives them.
        selection: the win-rate table of the same runs on the selection split; None where there is none.
        parts: the table of the verdicts' parts, as `pipeline.results.parts_table.read_parts_table` gives it; None where
            no judge gives any.
        front: win rates against costs, as `read_winrate_vs_cost` gives them; None where there are none.
        overoptimisation: scores of checkpoints, as `read_overoptimisation` gives them; None where there are none.
        labels: people's verdicts, as `pipeline.report.human_labels.read_labels` gives them.
        labelled: how judges and reward models agree on labelled pairs, as
            `pipeline.report.labelled_pairs.read_labelled_agreement` gives it.
        more: sections of other modules, shown before the responses.
        last: likewise, shown at the end.
        left_out: names of sections that are not shown, as there is nothing for them: `WITHOUT_RUNS`, and
            `WITHOUT_RESPONSES` where the table names no responses.
    """

    table: RunTable
    winrate: pd.DataFrame
    cost: pd.DataFrame
    cards: list[dict] = field(default_factory=list)
    scores: list[dict] = field(default_factory=list)
    splits: list[dict] = field(default_factory=list)
    pairs: dict[str, Path] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    selection: pd.DataFrame | None = None
    parts: pd.DataFrame | None = None
    front: pd.DataFrame | None = None
    overoptimisation: pd.DataFrame | None = None
    labels: Labels = field(default_factory=dict)
    labelled: list[dict] = field(default_factory=list)
    more: list[Section] = field(default_factory=list)
    last: list[Section] = field(default_factory=list)
    left_out: frozenset[str] = frozenset()


def render_report(inputs: ReportInputs) -> Page:
    """The page, to be written as HTML.

    Raises:
        InputError: a card is no JSON object, a run has no row in the win-rate table, or a run's files are at fault.
    """
    for card in inputs.cards:
        if not isinstance(card, dict):
            raise InputError(f"a data card must be a JSON object, not {type(card).__name__}")
    charts, chunks = Charts(), Chunks()
    sections, contents = report_sections(inputs, charts, chunks)
    return Page(inputs.table, sections, contents, charts, chunks)


def report_sections(inputs: ReportInputs, charts: Charts, chunks: Chunks) -> tuple[list[Section], dict[str, object]]:
    """The sections in their order, and what the page's scripts read, by name."""
    table, winrate, cost = inputs.table, inputs.winrate, inputs.cost
    read = cache(read_verdict_details)
    seeds = seed_table(table, read)
    selection = selection_of(table, winrate, inputs.selection)
    of_runs = figures(table, winrate, cost, seeds, selection.best)
    drawn = {name: charts.place(figure) for name, figure in of_runs.items()}
    results, rows = results_section(table, winrate, cost, seeds, selection.best, selection.note)
    contents: dict[str, object] = {"results-table": rows}
    of_responses: list[Section] = []
    labels: RunLabels = {}
    if not inputs.left_out >= WITHOUT_RESPONSES:
        bad = find_faults(table)
        slices = {group: find_slices(table, group, inputs.pairs.get(group[0])) for group in table.groups}
        labels = find_labels(table, bad, inputs.pairs, inputs.labels)
        found = responses_section(table, inputs.pairs, inputs.replies, chunks, bad, slices, labels, read)
        of_responses = [slices_section(table, slices, read), bad_answers_section(table, bad), found[0]]
        contents["responses-index"] = found[1]
    splits = [with_figures(split, charts) for split in inputs.splits]
    rewards = {"figure": drawn["reward"], "scores": inputs.scores, "splits": splits}
    numbers = {"resamples": RESAMPLES, "few_draws": FEW_DRAWS, "fewest_seeds": FEWEST_SEEDS}
    method = numbers | {"splits": inputs.splits}
    agreed = find_agreement(table, inputs.pairs, read, labels)
    agreement = agreement_section(table, agreed, seeds, inputs.labelled, charts)
    answer = answer_section(table, winrate, cost, drawn["winrate"], selection, control_sentences(table, winrate, cost))
    over = [] if inputs.overoptimisation is None else [overoptimisation_figure(table, inputs.overoptimisation)]
    trade = [
        drawn[name] for name in ("winrate_vs_kl", "winrate_vs_length") if drawn[name]["rows"] or not inputs.left_out
    ]
    sections = [
        with_costs(with_power(answer, table, read), table, inputs.front, charts),
        *controls_section(table, winrate, cost),
        *methods_section(table, winrate, selection, charts),
        leaderboard_section(table, winrate, drawn["rating"]),
        results,
        *([] if inputs.parts is None else [parts_section(inputs.parts, charts)]),
        Section("tradeoffs", "What a win rate goes with", "figures.jinja", {"figures": trade}, "KL and length"),
        Section("rewards", "The reward model", "rewards.jinja", rewards, "Rewards"),
        *(
            Section("overoptimisation", figure.title, "figures.jinja", {"figures": [charts.place(figure)]})
            for figure in over
        ),
        Section("training", "Learning curves", "figures.jinja", {"figures": [drawn["learning_curves"]]}),
        *costs_section(table, inputs.front),
        Section("cost", "Training cost", "figures.jinja", {"figures": [drawn["cost"]]}, "Cost"),
        *inputs.more,
        *of_responses[:1],
        *([agreement] if agreement else []),
        *of_responses[1:],
        Section("data", "Data", "data.jinja", {"cards": [card_view(card) for card in inputs.cards]}),
        Section("method", "How it was computed", "method.jinja", method, "Method"),
        *inputs.last,
    ]
    empty = inputs.left_out | ({"tradeoffs"} if not trade else set())
    return [section for section in sections if section.name not in empty], contents
