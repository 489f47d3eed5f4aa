"""The win rates on mixes in the report, by the dataset that a prompt is from."""

import pandas as pd

from pipeline.report.section import Section
from pipeline.results.csv_tables import titled_groups


def source_section(rates: pd.DataFrame) -> Section:
    """The section, from the table that `pipeline.results.source_table.read_source_table` reads."""
    boards = [{"title": title, "rows": rows.to_dict("records")} for title, rows in titled_groups(rates)]
    return Section("sources", "Win rates by source", "by_source.jinja", {"boards": boards}, "Sources")
