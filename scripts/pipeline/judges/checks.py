"""Verdicts of a function of the user's that says of a response whether it is right."""

import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.columns.prompts import CHECK
from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.config.fields import FAILED_SHARE
from pipeline.jobs.io import InputError
from pipeline.models.templates import as_text, response_text

TAKEN = ("prompt", "response", "reference", "category", "row")


def judge_by_check(table: pd.DataFrame, spec: dict, run: str, seed: int, baseline: str) -> pd.DataFrame:
    """Verdicts by what the function says: of the run's response alone where the baseline is `check`, else of both.

    A verdict is unparsed where the function raised, or gave neither true or false nor a number from 0 to 1.

    Args:
        table: prompt_id, prompt, response, baseline_response; and baseline_prompt, reference, category, row, if any.
        spec: the judge's.

    Returns:
        VERDICT_COLUMNS, in the table's order.

    Raises:
        InputError: the function cannot be loaded or called with what there is, or more than max_failed_share of the
            verdicts are unparsed.
    """
    function, taken = load_function(spec["function"])
    reasons: list[str] = []
    verdicts = pd.DataFrame({"prompt_id": table["prompt_id"], "run": run, "seed": seed, "baseline": baseline})
    given = [dict(zip(TAKEN, values, strict=True)) for values in zip(*map(_column(table), TAKEN), strict=True)]
    sides = [[response_text(as_text(value)) for value in table[name]] for name in ("response", "baseline_response")]
    others = list(map(as_text, table["baseline_prompt"])) if "baseline_prompt" in table else None
    verdicts["score_run"] = _scores(function, taken, given, sides[0], None, reasons)
    verdicts["len_run"] = [len(text) for text in sides[0]]
    if baseline == CHECK:
        verdicts["score_baseline"], verdicts["len_baseline"] = np.nan, verdicts["len_run"]
        verdicts["preference"] = verdicts["score_run"]
    else:
        verdicts["score_baseline"] = _scores(function, taken, given, sides[1], others, reasons)
        verdicts["len_baseline"] = [len(text) for text in sides[1]]
        difference = verdicts["score_run"] - verdicts["score_baseline"]
        verdicts["preference"] = ((difference > 0) + 0.5 * (difference == 0)).where(difference.notna())
    verdicts["status"] = np.where(verdicts["preference"].notna(), "parsed", "unparsed")
    verdicts = verdicts.assign(order="none", judge=spec["name"], judge_model=spec["function"], request_key="")
    unparsed, share = int((verdicts["status"] != "parsed").sum()), spec.get("max_failed_share", FAILED_SHARE)
    first = f"; the first: {reasons[0]}" if reasons else ""
    print(f"{len(verdicts)} verdicts, {unparsed} unparsed{first}")
    if unparsed > share * len(verdicts):
        raise InputError(
            f"{unparsed} of {len(verdicts)} verdicts are unparsed, more than max_failed_share {share:g} of judge.yaml"
            f"{first}. A check gives true or false, or a number from 0 to 1"
        )
    return verdicts[VERDICT_COLUMNS]


def load_function(written: str) -> tuple[Callable, list[str]]:
    """The function of `file.py:name` or `module:name`, and which of TAKEN it takes.

    Raises:
        InputError: it is not there, cannot be imported, or needs something else.
    """
    place, _, name = written.rpartition(":")
    try:
        if place.endswith(".py"):
            path = Path(place)
            sys.path.insert(0, str(path.parent.resolve()))  # for the modules beside it
            spec = importlib.util.spec_from_file_location(f"check_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        function = getattr(module, name)
        parameters = inspect.signature(function).parameters.values()
    except Exception as error:
        raise InputError(f"check {written}: it cannot be loaded ({type(error).__name__}: {error})") from error
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return function, list(TAKEN)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_POSITIONAL]
    if unknown := [name for name in needed if name not in TAKEN]:
        raise InputError(
            f"check {written}: it takes {unknown[0]!r}; a check may take {', '.join(TAKEN)}, by these names"
        )
    return function, [one.name for one in parameters if one.name in TAKEN]


def _column(table: pd.DataFrame) -> Callable[[str], list]:
    """What the rows have of TAKEN but the response; None where the table, or a row, has none."""

    def column(name: str) -> list:
        if name == "response" or name not in table:
            return [None] * len(table)
        if name == "prompt":
            return [as_text(value) for value in table[name]]
        return [value if isinstance(value, dict | str) else None for value in table[name]]

    return column


def _scores(
    function: Callable, taken: list[str], given: list[dict], texts: list[str], prompts: list | None, reasons: list[str]
) -> list[float]:
    """What the function says of each text, NaN where that is nothing that counts; why not is added to the reasons."""
    found = []
    for row, (known, text) in enumerate(zip(given, texts, strict=True)):
        own = known | {"response": text} | ({} if prompts is None else {"prompt": prompts[row]})
        try:
            value = function(**{name: own[name] for name in taken})
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
            found.append(math.nan)
            continue
        found.append(_number(value))
        if math.isnan(found[-1]):
            reasons.append(f"it gave {value!r}")
    return found


def _number(value: Any) -> float:
    """True, false, or a number from 0 to 1 as a number; NaN for anything else."""
    if not isinstance(value, bool | int | float | np.bool_ | np.number) or not 0 <= float(value) <= 1:
        return math.nan
    return float(value)
