"""Charts in the page: `pipeline.figures.drawing` figures as specifications in the page's colours and width."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.figures import drawing
from pipeline.figures.drawing import INK, LINE, MUTED, PAPER, Figure, panel_specification

PALETTE = ("blue", "orange", "green", "vermilion", "pink", "sky")
COLORS = {
    **{INK: "currentColor", PAPER: "var(--paper)", MUTED: "var(--soft)", LINE: "var(--line)"},
    **{getattr(drawing, name.upper()): f"var(--{name})" for name in PALETTE},
}
FOLDER = Path(__file__).parent
BEGINNING = ("packed",)  # which unpacks all else, the other scripts too
# In the order in which they need each other.
SCRIPTS = (
    "codec",
    "exports",
    "numbers",
    "sets",
    "charts",
    "table",
    "outcomes",
    "search",
    "filters",
    "invisible",
    "differences",
    "decorate",
    "formatted",
    "virtual_list",
    "labels",
    "detail",
    "browser",
    "place",
    "main",
)


@dataclass
class Charts:
    """The specifications of a page's charts, by the id of their place."""

    specifications: dict[str, dict] = field(default_factory=dict)

    def place(self, figure: Figure, prefix: str = "") -> dict:
        """A figure for the macro chart: name, title, caption, and rows of panels as title, place, choices."""
        name, rows = f"{prefix}{figure.name}", []
        for row in figure.rows:
            places = {f"chart-{name}-{len(rows)}-{number}": panel for number, panel in enumerate(row)}
            for place, panel in places.items():
                text = json.dumps(panel_specification(panel))
                for color, variable in COLORS.items():
                    text = text.replace(color, variable)
                self.specifications[place] = json.loads(text)
            rows.append(
                [{"title": panel.title, "place": place, "choices": panel.choices} for place, panel in places.items()]
            )
        return {"name": name, "title": figure.title, "caption": figure.caption, "rows": rows}


@cache
def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, with their licences."""
    import vl_convert

    notice = (FOLDER / "vega_license.txt").read_text(encoding="utf-8")
    return f"/*\n{notice}*/\n{vl_convert.javascript_bundle()}"


@cache
def reading_library(formulas: bool) -> str:
    """What makes Markdown and, where there may be any, formulas readable, as one script with its licences."""
    names = ("licenses.txt", "markdown-it.min.js", *(("temml.min.js",) if formulas else ()))
    notice, *parts = ((FOLDER / "libraries" / name).read_text(encoding="utf-8") for name in names)
    return f"/*\n{notice}*/\n" + "\n".join(re.sub(r"^//# sourceMappingURL=.*$", "", part, flags=re.M) for part in parts)


@cache
def page_style() -> str:
    """The page's own style, and Temml's without the font that it would fetch."""
    formulas = (FOLDER / "libraries" / "temml.css").read_text(encoding="utf-8")
    own = [(FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "tables.css", "reading.css")]
    return "\n".join([re.sub(r"@font-face \{.*?\}", "", formulas, flags=re.S), *own])


@cache
def page_script(names: tuple[str, ...] = SCRIPTS) -> str:
    """The page's own modules as one script: their imports of each other are left out, and the word export."""
    parts = []
    for name in names:
        lines = (FOLDER / "scripts" / f"{name}.js").read_text(encoding="utf-8").splitlines()
        parts += [line.removeprefix("export ") for line in lines if not line.startswith("import ")]
    return "\n".join(parts) + "\n"


def content_policy(scripts: Iterable[str]) -> str:
    """A policy that lets these inline scripts run, and nothing else: no request of any kind."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
