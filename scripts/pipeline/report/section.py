"""A section of the report: a heading, a template and what the template shows.

A module per section makes it (or None, where there is nothing to show), and `pipeline.report.render_report` lists them
in the order of the page. The template is in templates/, gets `values` as its variables, and may import macros.jinja.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: its id in the page.
        title: its heading.
        template: file name in templates/.
        values: variables of the template.
        short: its name in the navigation.
        of_sets: where the section follows the choice of prompts, the template's variables for each set beside the
            split, whose are `values`.
    """

    name: str
    title: str
    template: str
    values: dict = field(default_factory=dict)
    short: str = ""
    of_sets: dict[str, dict] = field(default_factory=dict)
