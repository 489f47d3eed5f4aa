"""Reading what is to be answered; it imports no neural network."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pipeline.columns.prompts import CATEGORY, FURTHER, PROMPT_COLUMNS
from pipeline.jobs.io import read_parquet


def read_prompts(path: str | Path) -> pd.DataFrame:
    """The prompts of a split, or of a set: prompt_id, prompt; of a set `further` and `category` too.

    Raises:
        InputError: it is no such table.
    """
    known = pq.read_schema(path).names if Path(path).is_file() else []
    return read_parquet(path, [*PROMPT_COLUMNS, *(name for name in (FURTHER, CATEGORY) if name in known)])
