"""What runs are called by what they are, where their names are too long for a sentence or a chart."""

from collections import Counter
from collections.abc import Iterable

from pipeline.columns.responses import EXTERNAL
from pipeline.results.run_table import Run


def kind_of(run: Run) -> str:
    """What a run is one of: the named loss of its task, else its method; what was made elsewhere is its own kind."""
    return run.run if run.method == EXTERNAL else run.called or run.method


def kind_names(runs: Iterable[Run]) -> dict[str, str]:
    """{run: its kind in capitals}, of each that is the only one of its kind; what was made elsewhere keeps its name."""
    kinds = {run.run: kind_of(run) for run in runs if run.method != EXTERNAL}
    counts = Counter(kinds.values())
    return {name: kind.upper() for name, kind in kinds.items() if counts[kind] == 1}
