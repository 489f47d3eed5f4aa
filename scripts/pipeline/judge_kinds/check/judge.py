"""A function of the user's as a judge."""

from argparse import Namespace

import pandas as pd

from pipeline.judges.checks import judge_by_check


def judge(table: pd.DataFrame, spec: dict, arguments: Namespace, **names) -> pd.DataFrame:
    """Verdicts by what the function says of responses.

    Raises:
        InputError: it cannot be loaded, or too many verdicts are unparsed.
    """
    return judge_by_check(table, spec, **names)
