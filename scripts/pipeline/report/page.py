"""The page as one file: its sections, what its scripts read, its scripts; and an excerpt that fits into others."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import jinja2
from markupsafe import Markup

from pipeline.report.charts import (
    BEGINNING,
    COLORS,
    Charts,
    chart_library,
    content_policy,
    page_script,
    page_style,
    reading_library,
)
from pipeline.report.embedding import Chunks, json_element, printable, script_element
from pipeline.report.numbers import interval, number, p_value
from pipeline.report.section import Section
from pipeline.results.page_limit import LARGEST_WITHIN
from pipeline.results.run_table import RunTable

FOLDER = Path(__file__).parent
RESPONSES = "responses"  # the section that holds the texts
# Sections that are about the split's prompts, whichever are chosen.
OF_SPLIT = frozenset(
    (
        *("controls", "methods", "parts", "tradeoffs", "rewards", "overoptimisation", "cost-of-one"),
        *("sources", "slices", "bad-answers", "agreement"),
    )
)


@dataclass(frozen=True)
class Page:
    """What a report consists of.

    Attributes:
        sections: in their order.
        contents: what the page's scripts read, by name.
        charts, chunks: of all sections.
        sets: what readers choose the prompts from, the split first; empty without sets of prompts.
    """

    table: RunTable
    sections: list[Section]
    contents: dict[str, object]
    charts: Charts = field(default_factory=Charts)
    chunks: Chunks = field(default_factory=Chunks)
    sets: list[str] = field(default_factory=list)

    def html(self, left_out: frozenset[str] = frozenset(), note: str = "") -> str:
        """The page without the sections of these names, which a note at its top explains."""
        bodies = {name: _unlinked(body, left_out) for name, body in self._bodies.items() if name not in left_out}
        scripts = {"charts": chart_library(), "page": page_script()}
        contents = {name: content for name, content in self.contents.items() if not _belongs(name, left_out)}
        contents["chart-specifications"] = {
            place: specification
            for place, specification in self.charts.specifications.items()
            if any(f'id="{place}"' in body for body in bodies.values())
        }
        contents["chart-colors"] = {variable: color for color, variable in COLORS.items()}
        data = [json_element(name, content) for name, content in contents.items()]
        if RESPONSES in bodies:
            scripts["reading"] = reading_library(self.chunks.formulas)
            data.append(self.chunks.markup())
        beginning = page_script(BEGINNING)
        return self._environment.get_template("page.html.jinja").render(
            table=self.table,
            sets=self.sets,
            of_split=OF_SPLIT,
            note=note,
            policy=content_policy([beginning, *scripts.values()]),
            style=Markup(page_style()),
            sections=[section for section in self.sections if section.name in bodies],
            bodies=bodies,
            data=data + [script_element(f"script-{name}", script) for name, script in scripts.items()],
            beginning=Markup(beginning),
        )

    def excerpt(self, whole: str, path: str, largest: int = LARGEST_WITHIN) -> str:
        """The page where it has at most `largest` bytes; else as much of it, without its largest sections.

        Args:
            whole: the page.
            path: where it lies, for the note.
        """
        page, left_out = whole, []
        others = sorted(self.sections[1:], key=lambda section: -len(self._bodies[section.name]))
        for section in sorted(others, key=lambda section: section.name != RESPONSES):
            if _size(page) <= largest:
                break
            left_out.append(section.title)
            named = frozenset(one.name for one in self.sections if one.title in left_out)
            page = self.html(named, _note(left_out, path, _size(whole)))
        return page

    @cached_property
    def _bodies(self) -> dict[str, Markup]:
        """The sections' HTML by their names."""
        shared = {"table": self.table, "groups": self.table.groups}
        return {section.name: self._body(section, shared) for section in self.sections}

    def _body(self, section: Section, shared: dict) -> Markup:
        """What stands below a heading: of the split and, hidden, of each set, where the section follows the choice."""
        template, split = self._environment.get_template(section.template), self.table.split
        parts = {split: section.values} | section.of_sets
        bodies = {name: Markup(template.render(shared | values)) for name, values in parts.items()}
        if not section.of_sets:
            return bodies[split]
        form = Markup('<div data-set="{}"{}>\n{}</div>\n')
        return Markup().join(
            form.format(name, "" if name == split else " hidden", body) for name, body in bodies.items()
        )

    @cached_property
    def _environment(self) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=_printable,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"number": number, "interval": interval, "p_value": p_value}
        return environment


def _belongs(content: str, sections: frozenset[str]) -> bool:
    """Whether a content, such as results-table, is one of these sections'."""
    return content.partition("-")[0] in sections


def _unlinked(body: Markup, left_out: frozenset[str]) -> Markup:
    """A section in which links to others that are left out are plain text."""
    if not left_out:
        return body
    names = "|".join(map(re.escape, left_out))
    return Markup(re.sub(rf'<a [^>]*href="#(?:{names})(?:\?[^"]*)?"[^>]*>(.*?)</a>', r"\1", body, flags=re.S))


def _note(titles: list[str], path: str, size: int) -> str:
    return (
        f"Left out here: {', '.join(titles)}. The whole page, {path}, has {size / 1e6:.1f} MB, more than browsers open "
        "within another page; it opens by itself, and from a report of Snakemake that is a .zip."
    )


def _size(page: str) -> int:
    return len(page.encode("utf-8"))


def _printable(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
