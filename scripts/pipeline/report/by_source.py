"""The win rates on mixes in the report, by the dataset that a prompt is from."""

import pandas as pd

from pipeline.report.section import Section


def source_section(rates: pd.DataFrame) -> Section:
    """The section, from the table that `pipeline.results.source_table.read_source_table` reads."""
    groups = rates.groupby(["dataset", "model", "decoding"], sort=False)
    told = 3 if rates["decoding"].nunique() > 1 else 2
    boards = [{"title": ", ".join(name[:told]), "rows": rows.to_dict("records")} for name, rows in groups]
    return Section("sources", "Win rates by source", "by_source.jinja", {"boards": boards}, "Sources")
