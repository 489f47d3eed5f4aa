"""The answer in words: which runs are better than the baseline, by how much, and how sure that is."""

import math
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.report.numbers import p_value
from pipeline.report.section import Section
from pipeline.report.selection import Selection
from pipeline.results.csv_tables import rows_of
from pipeline.results.run_table import CHOSEN, Run, RunTable

# Of a corrected test; beyond it a difference counts as clear.
ALPHA = 0.05
MOST_FINDINGS = 40  # of a dataset and model; beyond them those with the highest win rates against the baseline
BETTER, UNCLEAR, WORSE, UNKNOWN = "better", "no clear difference", "worse", "not compared"


@dataclass(frozen=True)
class Finding:
    """What the table says about one run: a verdict (one of the four above) and the sentences behind it."""

    run: str
    verdict: str
    text: str


@dataclass(frozen=True)
class GroupFindings:
    """What the table says about one (dataset, model)."""

    dataset: str
    model: str
    lead: str
    headline: str
    runs: list[Finding]
    left_out: int


def answer_section(
    table: RunTable,
    winrate: pd.DataFrame,
    cost: pd.DataFrame,
    figure: dict,
    selection: Selection,
    further: dict[tuple[str, str, str], str] | None = None,
) -> Section:
    """The section that answers the question, with the figure of the win rates, placed.

    Args:
        further: see `group_findings`.
    """
    values = {
        "groups": [group_findings(table, winrate, group, selection, further) for group in table.groups],
        "caveats": caveats(table, winrate, cost) + ([selection.note] if "Some methods" in selection.note else []),
        "figure": figure,
    }
    return Section("answer", "Which method wins?", "answer.jinja", values, "Answer")


def group_findings(
    table: RunTable,
    winrate: pd.DataFrame,
    group: tuple[str, str],
    selection: Selection | None = None,
    further: dict[tuple[str, str, str], str] | None = None,
) -> GroupFindings:
    """Lead, headline and a finding per run of one (dataset, model).

    A run is called better (worse) only where the 95% interval of its win rate against the baseline run excludes 50%
    or, without direct comparisons, where that of the difference against the chosen responses excludes 0; and where the
    p-value of that comparison, corrected over the runs compared, is below `ALPHA`.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        further: sentences that follow a run's own, by (dataset, model, run).
    """
    rows = rows_of(winrate, group)
    by_run = {name: part.set_index("baseline").to_dict("index") for name, part in rows.groupby("run", sort=False)}
    findings, trained = [], []
    for run in table.runs_of(group):
        opponents = by_run.get(run.run, {})
        if run.run == table.baseline:
            findings.append(_baseline_finding(run.run, opponents))
            continue
        finding = _finding(run.run, table.baseline, opponents)
        if sentence := (further or {}).get((*group, run.run)):
            finding = replace(finding, text=f"{finding.text} {sentence}")
        findings.append(finding)
        if run.method not in ("sft", "start"):
            trained.append((run, finding, opponents))
    lead = _lead(table, trained, selection.best if selection else None)
    left_out = max(len(findings) - MOST_FINDINGS, 0)
    if left_out:
        against = {name: table.baseline if table.baseline in found else CHOSEN for name, found in by_run.items()}
        rates = {name: _rate(found, against[name]) for name, found in by_run.items()} | {table.baseline: math.inf}
        findings.sort(key=lambda finding: rates.get(finding.run, -math.inf), reverse=True)
    return GroupFindings(*group, lead, _headline(table.baseline, trained), findings[:MOST_FINDINGS], left_out)


def caveats(table: RunTable, winrate: pd.DataFrame, cost: pd.DataFrame) -> list[str]:
    """What a reader should know before believing the numbers, as far as the tables show it."""
    notes = []
    seeds = {len(run.seeds) for run in table.runs}
    if min(seeds) == 1:
        notes.append("Some runs have a single seed: their intervals say nothing about another training seed.")
    elif min(seeds) < 5:
        notes.append(
            f"Only {min(seeds)} seeds: where training seeds differ much, the intervals are too narrow; the standard "
            "deviation over seeds stands beside the win rates."
        )
    compared = sum(run.run != table.baseline for run in table.runs)
    if compared > 5:
        notes.append(
            f"{compared} runs are compared: each interval is for its run alone, and where nothing differs about one in "
            "twenty excludes 50% by chance; the p-values are corrected for that."
        )
    unparsed, parsed = int(winrate["unparsed"].sum()), int(winrate["n"].sum())
    if unparsed:
        notes.append(
            f"{unparsed} of {unparsed + parsed} verdicts were not parsed. They are counted, and stay out of the rates."
        )
    halved = cost.loc[cost["halved"] > 0, "run"].unique()
    if len(halved):
        notes.append(
            f"Memory ran out while these were trained, and they went on with smaller batches per device: "
            f"{', '.join(halved)}. Another training of them is the same but for rounding, not to the byte."
        )
    return notes


def _lead(table: RunTable, trained: list[tuple[Run, Finding, dict]], best: set | None) -> str:
    """The answer in a few words: of the runs that represent their method, where the selection split has chosen them."""
    if not trained:
        return "There is nothing to compare."
    group = trained[0][0].group
    base = table.baseline_of(group)
    name = base.method.upper() if base else table.baseline
    if best is not None:
        trained = [item for item in trained if (*group, item[0].run) in best]
    methods = [run.method for run, _, _ in trained]
    better = [item for item in trained if item[1].verdict == BETTER]
    if not better:
        known = any(finding.verdict != UNKNOWN for _, finding, _ in trained)
        return f"No method clearly beats {name}." if known else f"Nothing was compared with {name}."
    if len(set(methods)) < len(methods):
        return f"{len(better)} of {len(trained)} runs beat {name}."
    run, _, opponents = max(better, key=lambda item: _rate(item[2], table.baseline))
    start = f"{run.method.upper()} beats {name}"
    direct, chosen = opponents.get(table.baseline), opponents.get(CHOSEN)
    if direct is not None and _known(direct, "win_rate"):
        return f"{start}: it wins {direct['win_rate']:.0f}% of direct comparisons."
    return f"{start} by {chosen['difference']:.0f} percentage points of win rate."


def _headline(baseline: str, trained: list[tuple[Run, Finding, dict]]) -> str:
    if not trained:
        return f"No other trained run is compared with {baseline}."
    verdicts = [finding.verdict for _, finding, _ in trained]
    better = [item for item in trained if item[1].verdict == BETTER]
    if len(trained) == 1:
        return trained[0][1].text
    if not better:
        start = f"None of the {len(trained)} runs is clearly better than the baseline {baseline}"
    elif len(better) == 1:
        start = f"Of {len(trained)} runs only {better[0][1].run} is clearly better than the baseline {baseline}"
    else:
        start = f"{len(better)} of {len(trained)} runs are clearly better than the baseline {baseline}"
    others = [
        (verdicts.count(UNCLEAR), "no clear difference from it"),
        (verdicts.count(WORSE), "a clearly lower win rate"),
        (verdicts.count(UNKNOWN), "no comparison with it"),
    ]
    parts = [f"{count} {'shows' if count == 1 else 'show'} {what}" for count, what in others if count]
    sentence = start + ("; " + ", ".join(parts) if parts else "") + "."
    if better:
        _, best, _ = max(better, key=lambda item: _rate(item[2], baseline))
        sentence += f" {best.text}" if len(better) == 1 else f" The highest win rate against it: {best.text}"
    return sentence


def _finding(run: str, baseline: str, opponents: dict[str, dict]) -> Finding:
    direct, chosen = opponents.get(baseline), opponents.get(CHOSEN)
    sentences, verdict = [], UNKNOWN
    if direct is not None and _known(direct, "win_rate"):
        verdict, sentence = direct_comparison(run, baseline, direct)
        sentences.append(sentence)
    if chosen is not None and _known(chosen, "difference"):
        against_chosen = _verdict(chosen, "difference", 0, "difference_p_value_holm")
        signed = f"{chosen['difference']:+.1f}".replace("-", "−")
        points = f"{abs(chosen['difference']):.1f} percentage points"
        place = {
            BETTER: f"{points} above that of {baseline}",
            WORSE: f"{points} below that of {baseline}",
            UNCLEAR: f"not clearly different from that of {baseline}: {signed} percentage points",
        }[against_chosen]
        subject = "its win rate" if sentences else f"the win rate of {run}"
        sentences.append(
            f"Against the dataset's chosen responses {subject} is {chosen['win_rate']:.1f}%, {place}"
            f"{_interval(chosen, 'difference', ' (95% interval {} to {})')}{_test(chosen, 'difference_p_value_holm')}."
        )
        if verdict == UNKNOWN:
            verdict = against_chosen
        elif {verdict, against_chosen} == {BETTER, WORSE}:
            sentences.append("The two comparisons contradict each other.")
    return Finding(run, verdict, " ".join(sentences) or f"{run} was not compared with {baseline}.")


def direct_comparison(run: str, other: str, row: dict) -> tuple[str, str]:
    """The verdict on a run, and the sentence behind it, from the row of the win-rate table against another run."""
    verdict = _verdict(row, "win_rate", 50, "p_value_holm")
    start = {
        BETTER: f"{run} beats {other}",
        WORSE: f"{run} loses to {other}",
        UNCLEAR: f"No clear difference between {run} and {other}",
    }[verdict]
    won = f"it wins {_percent(row, 'win_rate')} of the direct comparisons{_test(row, 'p_value_holm')}."
    return verdict, f"{start}: {won}"


def _baseline_finding(run: str, opponents: dict[str, dict]) -> Finding:
    chosen = opponents.get(CHOSEN)
    text = f"{run} is the baseline."
    if chosen is not None and _known(chosen, "win_rate"):
        text += f" It wins {_percent(chosen, 'win_rate')} against the dataset's chosen responses."
    return Finding(run, "the baseline", text)


def _verdict(row: dict, column: str, even: float, test: str) -> str:
    if row.get(test, math.nan) >= ALPHA:
        return UNCLEAR
    if row[f"{column}_low"] > even:
        return BETTER
    return WORSE if row[f"{column}_high"] < even else UNCLEAR


def _test(row: dict, column: str) -> str:
    """The corrected p-value in words, "" where there is none."""
    if math.isnan(row.get(column, math.nan)):
        return ""
    return f", p = {p_value(row[column])} after Holm's correction".replace("= <", "<")


def _rate(opponents: dict[str, dict], baseline: str) -> float:
    rate = opponents.get(baseline, {}).get("win_rate", math.nan)
    return -math.inf if math.isnan(rate) else rate


def _known(row: dict, column: str) -> bool:
    return not math.isnan(row[column])


def _percent(row: dict, column: str) -> str:
    return f"{row[column]:.1f}%{_interval(row, column, ' (95% interval {}% to {}%)')}"


def _interval(row: dict, column: str, form: str) -> str:
    if not _known(row, f"{column}_low"):
        return " (too few prompts for an interval)"
    return form.format(*(f"{row[f'{column}_{end}']:.1f}".replace("-", "−") for end in ("low", "high")))
