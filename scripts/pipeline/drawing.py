"""What all figures share: colours, settings, and files that have the same bytes for the same numbers.

All text and axes are drawn in `INK` on `PAPER`, so that a page can put its own colours in their place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.io import atomic_path

INK = "#1f2429"
PAPER = "#fefefe"
MUTED = "#7b8288"
# Of Okabe and Ito's palette, safe for colour-blind readers.
BLUE, ORANGE, GREEN, VERMILION, PINK, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
WIDTH = 8.0
SETTINGS = {
    "svg.hashsalt": "sail",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "text.parse_math": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), PAPER),
}


@contextmanager
def figure_settings() -> Iterator[None]:
    """Matplotlib's defaults with `SETTINGS`, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure without a date or version in it, so that the same figure has the same bytes."""
    if path.suffix == ".png":
        FigureCanvasAgg(figure)
        options = {"format": "png", "dpi": 110, "metadata": {"Software": None}}
    else:
        options = {"format": "svg", "metadata": {"Date": None, "Creator": None}}
    with atomic_path(path) as temporary:
        figure.savefig(temporary, **options)
