"""What gains are made of in the report: the parts that judges give of their verdicts."""

import pandas as pd

from pipeline.figures.parts import parts_figure
from pipeline.report.charts import Charts
from pipeline.report.section import Section
from pipeline.results.csv_tables import titled_groups


def parts_section(parts: pd.DataFrame, charts: Charts) -> Section:
    """The section, from the table that `pipeline.results.parts_table.read_parts_table` reads."""
    boards = [{"title": title, "rows": rows.to_dict("records")} for title, rows in titled_groups(parts)]
    shown = {"figure": charts.place(parts_figure(parts)), "boards": boards}
    return Section("parts", "What gains are made of", "parts.jinja", shown, "Parts")
