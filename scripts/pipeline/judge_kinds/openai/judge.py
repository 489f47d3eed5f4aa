"""A language model behind an OpenAI-compatible endpoint, asked for its preference."""

from argparse import Namespace

import pandas as pd

from pipeline.config.judges import read_service
from pipeline.jobs.io import InputError
from pipeline.judges.verdicts import judge_by_model


def judge(table: pd.DataFrame, spec: dict, arguments: Namespace, **names) -> pd.DataFrame:
    """Verdicts from the model's replies, which are kept in `arguments.store`.

    Raises:
        InputError: nothing says how the model is reached, or where its replies are kept.
    """
    if not arguments.service or not arguments.store:
        raise InputError("a judge of kind openai needs --service and --store")
    return judge_by_model(table, spec, read_service(arguments.service), arguments.store, **names)
