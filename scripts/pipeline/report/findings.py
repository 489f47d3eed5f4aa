"""The answer in words: which runs are better than the baseline, by how much, and how sure that is."""

import math
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.columns.responses import EXTERNAL
from pipeline.figures.choice import FEW_RUNS, spoken_names
from pipeline.report.cautions import cautions
from pipeline.report.numbers import p_value
from pipeline.report.section import Section
from pipeline.report.selection import Selection
from pipeline.results.caveats import claim, claims, counted, is_circular, notes, of_rows, qualifiers, reasons
from pipeline.results.csv_tables import rows_of
from pipeline.results.limits import disagreeing
from pipeline.results.outcomes import BETTER, UNCLEAR, UNKNOWN, WORSE, difference_outcome, direct_outcome, outcome
from pipeline.results.run_names import kind_of
from pipeline.results.run_table import CHOSEN, Run, RunTable

MOST_FINDINGS = 40  # of a group; beyond them those with the highest win rates against the baseline
MOST_DISAGREEMENTS = 12  # under a decoding, with one verdict


@dataclass(frozen=True)
class Finding:
    """What the table says about one run.

    Attributes:
        verdict: one of the four of `pipeline.results.outcomes`.
        text: the sentences behind it.
        caveats: what they rest on, as the column of that name has it.
    """

    run: str
    verdict: str
    text: str
    caveats: str = ""

    @property
    def reasons(self) -> str:
        """Why to believe less of it, "" where nothing limits it."""
        return reasons(self.caveats)


@dataclass(frozen=True)
class GroupFindings:
    """What the table says about one (dataset, model, decoding).

    Attributes:
        best: the run that is clearly better than the baseline, of several that which wins most; "" where none is.
    """

    title: str
    lead: str
    headline: str
    runs: list[Finding]
    left_out: int
    best: str = ""


def answer_section(
    table: RunTable,
    winrate: pd.DataFrame,
    cost: pd.DataFrame,
    figure: dict,
    selection: Selection,
    further: dict[tuple[str, ...], str] | None = None,
) -> Section:
    """The section that answers the question, with the figure of the win rates, placed.

    Args:
        further: see `group_findings`.
    """
    answers = {group: group_findings(table, winrate, group, selection, further) for group in table.groups}
    values = {
        "answers": [(answers[group], disagreements(table, winrate, group[:2])) for group in table.first.groups],
        "groups": list(answers.values()),
        "limits": notes(winrate.to_dict("records")),
        "caveats": cautions(table, winrate, cost) + ([selection.note] if "Some methods" in selection.note else []),
        "figure": figure,
        **{"few": FEW_RUNS, "on": "", "on_sets": {}, "apart": False},
    }
    return Section("answer", "Which method wins?", "answer.jinja", values, "Answer")


def group_findings(
    table: RunTable,
    winrate: pd.DataFrame,
    group: tuple[str, ...],
    selection: Selection | None = None,
    further: dict[tuple[str, ...], str] | None = None,
) -> GroupFindings:
    """Lead, headline and a finding per run of one (dataset, model, decoding).

    A run is called better (worse) only where the 95% interval of its win rate against the baseline run excludes 50%
    or, without direct comparisons, where that of the difference against the chosen responses excludes 0; and where the
    p-value of that comparison, corrected over the runs compared, is below `ALPHA`. What its rows rest on
    (`pipeline.results.caveats`) changes the words.

    Args:
        winrate: the win-rate table, as `pipeline.results.tables.read_table` gives it.
        further: sentences that follow a run's own, by group and run.
    """
    rows = rows_of(winrate, group)
    rows = rows[rows["baseline"].isin([CHOSEN, table.baseline])]  # not against controls
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
    # what was made elsewhere is no answer to which method wins, unless there is nothing else
    trained = [item for item in trained if item[0].method != EXTERNAL] or trained
    controls = {name for run in table.runs_of(group) for name in run.controls}
    trained = [item for item in trained if item[0].run not in controls] or trained
    chosen = selection.best if selection else None
    leading = trained if chosen is None else [item for item in trained if item[0].place in chosen]
    lead = _lead(table, trained, leading)
    left_out = max(len(findings) - MOST_FINDINGS, 0)
    if len(findings) > FEW_RUNS:
        against = {name: table.baseline if table.baseline in found else CHOSEN for name, found in by_run.items()}
        rates = {name: _rate(found, against[name]) for name, found in by_run.items()} | {table.baseline: math.inf}
        findings.sort(key=lambda finding: rates.get(finding.run, -math.inf), reverse=True)
    headline = _headline(table.baseline, trained)
    best = _best(leading, table.baseline)
    title = table.title_of(group)
    return GroupFindings(title, lead, headline, findings[:MOST_FINDINGS], left_out, best[0].run if best else "")


def disagreements(table: RunTable, winrate: pd.DataFrame, place: tuple[str, ...]) -> str:
    """Sentences on the runs of a (dataset, model) that one decoding finds better or worse and another does not."""
    found = {run: said for (*_, run), said in disagreeing(rows_of(winrate, place), table.baseline).items()}
    if not found:
        return ""
    names = spoken_names(list({run.run: run for run in table.runs if run.place[:2] == place}.values()))
    told = [f"The decodings disagree about how these compare with {names.get(table.baseline, table.baseline)}."]
    for decoding in dict.fromkeys(decoding for said in found.values() for decoding in said):
        parts = []
        for verdict in (BETTER, WORSE, UNCLEAR):
            runs = [names[run] for run, said in found.items() if said.get(decoding) == verdict]
            more = [f"{len(runs) - MOST_DISAGREEMENTS} more"] if len(runs) > MOST_DISAGREEMENTS else []
            parts += [f"{verdict}: {', '.join(runs[:MOST_DISAGREEMENTS] + more)}"] if runs else []
        told.append(f"{decoding[0].upper()}{decoding[1:]}, {'; '.join(parts)}.")
    return " ".join(told)


def _lead(table: RunTable, every: list[tuple[Run, Finding, dict]], trained: list[tuple[Run, Finding, dict]]) -> str:
    """The answer in a few words: of the runs that represent their method, where the selection split has chosen them."""
    if not every:
        return "There is nothing to compare."
    base = table.baseline_of(every[0][0].group)
    name = _called(base) if base else table.baseline
    methods = [_called(run) for run, _, _ in trained]
    better = [item for item in trained if item[1].verdict == BETTER]
    if not better:
        known = any(finding.verdict != UNKNOWN for _, finding, _ in trained)
        return f"No method clearly beats {name}." if known else f"Nothing was compared with {name}."
    if len(set(methods)) < len(methods):
        cells = [finding.caveats for _, finding, _ in better]
        return f"{len(better)} of {len(trained)} runs {claims(cells)} {name}{counted(cells)}."
    run, finding, opponents = _best(better, table.baseline)
    who, name = (_called(run), name) if _called(run) != name else (run.run, table.baseline)
    start = f"{who} {claim(True, finding.caveats)} {name}{qualifiers(finding.caveats)}"
    direct, chosen = opponents.get(table.baseline), opponents.get(CHOSEN)
    if direct is not None and _known(direct, "win_rate"):
        return f"{start}: it wins {direct['win_rate']:.0f}% of direct comparisons."
    return f"{start} by {chosen['difference']:.0f} percentage points of win rate."


def _best(trained: list[tuple[Run, Finding, dict]], baseline: str) -> tuple[Run, Finding, dict] | None:
    better = [item for item in trained if item[1].verdict == BETTER]
    return max(better, key=lambda item: _rate(item[2], baseline), default=None)


def _called(run: Run) -> str:
    return run.run if run.method == EXTERNAL else kind_of(run).upper()


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
        best = better[0][1]
        verb = claim(True, best.caveats) if is_circular(best.caveats) else "is clearly better than"
        start = f"Of {len(trained)} runs only {best.run} {verb} the baseline {baseline}"
        start += qualifiers(best.caveats)
    else:
        cells = [finding.caveats for _, finding, _ in better]
        verb = claims(cells) if claims(cells) != "beat" else "are clearly better than"
        start = f"{len(better)} of {len(trained)} runs {verb} the baseline {baseline}{counted(cells)}"
    others = [
        (verdicts.count(UNCLEAR), "no clear difference from it"),
        (verdicts.count(WORSE), "a clearly lower win rate"),
        (verdicts.count(UNKNOWN), "no comparison with it"),
    ]
    parts = [f"{count} {'shows' if count == 1 else 'show'} {what}" for count, what in others if count]
    sentence = start + ("; " + ", ".join(parts) if parts else "") + "."
    if better:
        _, best, _ = _best(better, baseline)
        sentence += f" {best.text}" if len(better) == 1 else f" The highest win rate against it: {best.text}"
    return sentence


def _finding(run: str, baseline: str, opponents: dict[str, dict]) -> Finding:
    direct, chosen = opponents.get(baseline), opponents.get(CHOSEN)
    sentences, verdict, rests = [], outcome(opponents, baseline), of_rows(opponents.values())
    if direct is not None and _known(direct, "win_rate"):
        sentences.append(direct_comparison(run, baseline, direct, rests))
    if chosen is not None and _known(chosen, "difference"):
        against_chosen = difference_outcome(chosen)
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
        if {verdict, against_chosen} == {BETTER, WORSE}:
            sentences.append("The two comparisons contradict each other.")
    return Finding(run, verdict, " ".join(sentences) or f"{run} was not compared with {baseline}.", rests)


def direct_comparison(run: str, other: str, row: dict, rests: str) -> str:
    """What the row of the win-rate table against another run says, as a sentence.

    Args:
        rests: what it rests on, as the column `caveats` has it.
    """
    found = direct_outcome(row)
    start = f"{run} {claim(found == BETTER, rests)} {other}"
    if found == UNCLEAR:
        start = f"No clear difference between {run} and {other}"
    won = f"it wins {_percent(row, 'win_rate')} of the direct comparisons{_test(row, 'p_value_holm')}."
    return f"{start}{qualifiers(rests)}: {won}"


def _baseline_finding(run: str, opponents: dict[str, dict]) -> Finding:
    chosen = opponents.get(CHOSEN)
    text = f"{run} is the baseline."
    if chosen is not None and _known(chosen, "win_rate"):
        text += f" It wins {_percent(chosen, 'win_rate')} against the dataset's chosen responses."
    return Finding(run, "the baseline", text, of_rows(opponents.values()))


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
