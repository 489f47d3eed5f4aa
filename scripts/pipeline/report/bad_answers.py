"""Bad answers: how many each run gives, and which they are."""

from urllib.parse import urlencode

import numpy as np
import pandas as pd

from pipeline.columns.responses import EXTERNAL
from pipeline.metrics import bootstrap
from pipeline.metrics.answers import is_empty, refuses, repeats
from pipeline.report.section import Section
from pipeline.report.texts import response_text
from pipeline.results.run_table import Run, RunTable, read_finished, read_responses
from pipeline.results.shares import shares

FAULTS = ("empty", "unfinished", "repeating", "refusing")
SAME = "same"  # the same answer with every seed
Found = dict[tuple[Run, int], pd.DataFrame]


def find_faults(table: RunTable) -> Found:
    """Per run and seed, by prompt_id: each of FAULTS as 1 or 0 (unfinished is NaN where the file does not say), text.

    Raises:
        InputError: a file of responses is missing or at fault.
    """
    return {(run, seed): _faults(run, seed) for run in table.runs for seed in run.seeds}


def bad_answers_section(table: RunTable, found: Found) -> Section:
    """The section, from what `find_faults` gives."""
    boards = []
    for group in table.groups:
        title = table.title_of(group)
        rows = [_row(run, {seed: found[run, seed] for seed in run.seeds}, title) for run in table.runs_of(group)]
        boards.append({"title": title, "rows": rows})
    return Section("bad-answers", "Bad answers", "bad_answers.jinja", {"boards": boards, "faults": (*FAULTS, SAME)})


def address(title: str, run: str, seed: int | None, **more: str) -> str:
    """The link to a view of the responses: group by its title, the left column by run and seed, `more` as it is."""
    left = run if seed is None else f"{run}:{seed}"
    return f"#responses?{urlencode({'group': title, 'left': left} | more)}"


def _faults(run: Run, seed: int) -> pd.DataFrame:
    responses = read_responses(run, seed)["response"]
    texts = [response_text(value) for value in responses]
    columns = {
        "empty": [is_empty(text) for text in texts],
        "unfinished": read_finished(run, seed).rsub(1).to_numpy(),
        "repeating": [repeats(text) for text in texts],
        "refusing": [refuses(text) for text in texts],
    }
    return pd.DataFrame(columns, index=responses.index).astype(float).assign(text=texts)


def _row(run: Run, seeds: dict[int, pd.DataFrame], title: str) -> dict:
    """Shares in per cent with their intervals, and per fault the seeds that have it, with a link to each."""
    prompts = bootstrap.all_prompts(seeds)
    cells = {
        name: bootstrap.cell_matrix({seed: frame[name] for seed, frame in seeds.items()}, list(seeds), prompts)
        for name in FAULTS
    }
    row = {"run": run.run, "answers": int(np.isfinite(cells["empty"]).sum()), "links": {}} | shares(cells)
    for name in FAULTS:
        counts = {seed: int(np.nansum(of_seed)) for seed, of_seed in zip(seeds, cells[name], strict=True)}
        row["links"][name] = [
            {"seed": seed, "count": count, "href": address(title, run.run, seed, filter=name)}
            for seed, count in counts.items()
            if count
        ]
    if len(seeds) > 1 and run.method != EXTERNAL:  # which is the same with every seed, as nobody draws it here
        texts = pd.DataFrame({seed: frame["text"] for seed, frame in seeds.items()}).dropna()
        same = texts.eq(texts.iloc[:, 0], axis=0).all(axis=1) & texts.iloc[:, 0].str.strip().ne("")
        row |= shares({SAME: same.to_numpy(dtype=float)[None]})
        link = {"seed": None, "count": int(same.sum()), "href": address(title, run.run, run.seeds[0], filter=SAME)}
        row["links"][SAME] = [link] if link["count"] else []
    return row
