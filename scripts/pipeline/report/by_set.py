"""In the first paragraph: on which sets of prompts another run is the best than on the split, and how sure that is."""

from collections.abc import Callable, Sequence

import pandas as pd

from pipeline.figures.choice import spoken_names
from pipeline.metrics import bootstrap
from pipeline.metrics.comparison import two_sided_p_value
from pipeline.report.findings import group_findings
from pipeline.report.numbers import p_value
from pipeline.report.selection import Selection
from pipeline.results.outcomes import ALPHA
from pipeline.results.run_table import Run, RunTable
from pipeline.results.set_results import SetResults

MOST_NAMED = 6  # sets in one sentence
Read = Callable[[Run, int, str], pd.DataFrame]


def set_sentences(
    table: RunTable,
    winrate: pd.DataFrame,
    group: tuple[str, ...],
    sets: Sequence[SetResults],
    read: Read,
    selection: Selection | None = None,
) -> str:
    """Where the best run of a group on the split is the best of a set too, and where it is not; "" without sets.

    The best is the run that is clearly better than the baseline, of several that which wins most. Another one on a set
    is told from it by a paired bootstrap over the set's seeds and prompts, its p-value times the number of runs that
    might have been the best there.

    Args:
        read: gives the verdicts of a run, seed and opponent.
        selection: which runs represent their methods.
    """
    best, names = group_findings(table, winrate, group, selection).best, spoken_names(table.runs_of(group))
    known = [one for one in sets if not one.is_mean and group in one.table.groups]
    if not known:
        return ""
    found: dict[str, list[SetResults]] = {}
    for one in known:
        found.setdefault(group_findings(one.table, one.winrate, group, selection).best, []).append(one)
    same = found.pop(best, [])
    base = names.get(table.baseline, table.baseline)
    if best:
        text = f"Best on {table.split} is {names[best]}"
        everywhere = len(same) > 2 and not found
        text += f", as on all {len(same)} sets of prompts" if everywhere else f", as on {_listed(same)}" if same else ""
    else:
        text = f"No run is clearly better than {base} on {table.split}"
        text += f", nor on {_listed(same)}" if same else ""
    sentences = [text]
    for other, where in found.items():
        if not other:
            sentences.append(f"On {_listed(where)} none is clearly better than {base}")
        elif not best:
            sentences.append(f"On {_listed(where)} {names[other]} is")
        else:
            sentences += [f"On {_listed(own)} {text}" for text, own in _told(names, best, other, where, group, read)]
    return f"{'. '.join(sentences)}."


def _told(
    names: dict[str, str], best: str, other: str, where: list[SetResults], group: tuple[str, ...], read: Read
) -> list[tuple[str, list[SetResults]]]:
    """What is said of another best run, and on which sets: where it is clearly ahead, and where not."""
    sure: dict[bool, list[tuple[float, SetResults]]] = {True: [], False: []}
    for one in where:
        chance = _chance(one, group, best, other, read)
        sure[chance < ALPHA].append((chance, one))
    texts = {True: f"it is {names[other]}, clearly", False: f"it is {names[other]}, not clearly ahead of {names[best]}"}
    return [
        (f"{texts[clear]} ({_tests([chance for chance, _ in found])})", [one for _, one in found])
        for clear, found in sure.items()
        if found
    ]


def _tests(chances: list[float]) -> str:
    """The highest p-value of several."""
    highest = p_value(max(chances))
    return f"p {highest}" if highest.startswith("<") else f"p {'≤' if len(chances) > 1 else '='} {highest}"


def _chance(one: SetResults, group: tuple[str, ...], best: str, other: str, read: Read) -> float:
    """The corrected p-value of two runs' equal win rates against the baseline run; 1 where one of them has none."""
    runs = {run.run: run for run in one.table.runs_of(group) if one.table.baseline in run.baselines}
    if best not in runs:
        return 1.0
    pair = [runs[other], runs[best]]
    seeds = [seed for seed in pair[0].seeds if seed in pair[1].seeds]
    means = [{seed: bootstrap.order_means(read(run, seed, one.table.baseline)) for seed in seeds} for run in pair]
    prompts = bootstrap.all_prompts(means[0])
    cells = [bootstrap.cell_matrix(each, seeds, prompts) for each in means]
    drawn = bootstrap.bootstrap_means((cells[0] - cells[1])[None])[:, 0]
    return min(1.0, two_sided_p_value(drawn, len(prompts)) * (len(runs) - 1))


def _listed(sets: list[SetResults]) -> str:
    names = [one.name for one in sets]
    if len(names) > MOST_NAMED:
        names = [*names[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
