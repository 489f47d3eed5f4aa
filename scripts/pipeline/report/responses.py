"""The browser of prompts and responses: what the page carries of them, in chunks.

Per (dataset, model, decoding) the prompts have one order, and every column (the dataset's chosen and rejected
responses, each run and seed, then those of other decodings) has its responses in that order, in blocks of so many
prompts. Scores and mean preferences are a list per column; single verdicts, with the judge's own words where they are
given, are in blocks again.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.columns.pair_scores import PAIR_SCORES
from pipeline.columns.verdicts import DETAIL_COLUMNS
from pipeline.jobs.io import read_parquet
from pipeline.metrics import bootstrap
from pipeline.report.bad_answers import FAULTS, Found
from pipeline.report.embedding import Chunks, printable
from pipeline.report.human_labels import RunLabels
from pipeline.report.section import Section
from pipeline.report.slices import Slice
from pipeline.report.texts import plain_text, response_text, script_of, turns
from pipeline.results.run_table import CHOSEN, Run, RunTable, read_responses, read_scores, read_verdict_details

BLOCK, SMALLEST = 512, 16  # prompts of a block
BLOCK_TEXT = 300_000  # characters of a column in it, about, so that what is looked at is soon unpacked
REJECTED = "rejected"
Read = Callable[[Run, int, str], pd.DataFrame]


def responses_section(
    table: RunTable,
    pairs: dict[str, Path],
    replies: dict[str, str],
    chunks: Chunks,
    found: Found,
    slices: dict[tuple[str, ...], list[Slice]],
    labels: RunLabels,
    read: Read = read_verdict_details,
) -> tuple[Section, dict]:
    """The section, and the index that its script reads.

    Args:
        pairs: per dataset a scored split of the prompts (prompt_id, prompt, chosen, rejected, chosen_score,
            rejected_score); a dataset may be missing.
        replies: judges' raw replies by request key.
        chunks: to which the texts are added.
        found: which responses are bad, as `pipeline.report.bad_answers.find_faults` gives it.
        slices: kinds of prompts per group, as `pipeline.report.slices.find_slices` gives them.
        labels: of the responses, as `pipeline.report.human_labels.find_labels` gives it.
        read: gives the verdicts of a run, seed and opponent, as `read_verdict_details` does.
    """
    groups, size = [], block_size(found)
    for group in table.groups:
        content, ids = _group(table, group, pairs.get(group[0]), replies, chunks, found, labels, read, size)
        parts = [
            {"name": part.key, "rows": chunks.add_json([i for i, name in enumerate(ids) if name in part.prompts])}
            for part in slices[group]
        ]
        groups.append(content | {"slices": parts})
    total = sum(column["responses"] for group in groups for column in group["columns"])
    _add_other_decodings(groups)
    section = Section(
        "responses", "Responses side by side", "responses.jinja", {"total": total, "split": table.split}, "Responses"
    )
    return section, {"block": size, "baseline": table.baseline, "groups": groups}


def block_size(found: Found) -> int:
    """How many prompts make a block: the longer the responses, the fewer."""
    lengths = [frame["text"].map(len) for frame in found.values()]
    mean, size = float(np.mean(np.concatenate(lengths))) if lengths else 0.0, BLOCK
    while size > SMALLEST and size * mean > BLOCK_TEXT:
        size //= 2
    return size


def _group(
    table: RunTable,
    group: tuple[str, ...],
    pairs: Path | None,
    replies: dict[str, str],
    chunks: Chunks,
    found: Found,
    labels: RunLabels,
    read: Read,
    size: int,
) -> tuple[dict, list[str]]:
    answers = {(run, seed): read_responses(run, seed) for run in table.runs_of(group) for seed in run.seeds}
    prompts = {name: prompt for frame in answers.values() for name, prompt in frame["prompt"].items()}
    # prompts of one script after each other: what is like them is near, when it is compressed
    ids = sorted(prompts, key=lambda name: (script_of(plain_text(prompts[name])), name))
    columns, told = [], group[2] if len(table.decodings) > 1 else ""
    if pairs is not None:
        frame = read_parquet(pairs, ["prompt_id", CHOSEN, REJECTED, *PAIR_SCORES])
        frame = frame.drop_duplicates("prompt_id").set_index("prompt_id").reindex(ids)
        for name in (CHOSEN, REJECTED):
            label = {"run": name, "method": "dataset", "seed": None}
            columns.append(label | _texts(frame[name]) | _scores(frame[f"{name}_score"], chunks))
    for (run, seed), frame in answers.items():
        column = _column(run, seed, told, frame["response"].reindex(ids), replies, chunks, labels, read, size)
        bad = found[run, seed][list(FAULTS)].reindex(ids)
        column["faults"] = {name: chunks.add_json(_rows(bad[name])) for name in FAULTS if (bad[name] == 1).any()}
        columns.append(column)
    stored = [
        chunks.add_columns(block) for block in zip(*(_blocks(column["text"], size) for column in columns), strict=True)
    ]
    for number, column in enumerate(columns):
        column["text"] = [places[number] for places in stored]
    texts = [chunks.add_texts([plain_text(prompts[name]) for name in block]) for block in _blocks(ids, size)]
    dialogues = [chunks.add_json([turns(prompts[name]) for name in block]) for block in _blocks(ids, size)]
    content = {
        **dict(zip(("dataset", "model", "decoding"), group, strict=True)),
        "title": table.title_of(group),
        "told": told,
        "prompts": len(ids),
        "ids": chunks.add_json([printable(str(name)) for name in ids]),
        "text": texts,
        "turns": dialogues,
        "columns": columns,
    }
    return content, ids


def _add_other_decodings(groups: list[dict]) -> None:
    """Let each group show the columns of the other decodings of its prompts too, behind its own."""
    own = [[column for column in group["columns"] if column["seed"] is not None] for group in groups]
    for group in groups:
        for other, columns in zip(groups, own, strict=True):
            same = all(group[name] == other[name] for name in ("dataset", "model", "ids"))
            if same and other is not group:
                group["columns"] = [*group["columns"], *columns]


def _column(
    run: Run,
    seed: int,
    told: str,
    responses: pd.Series,
    replies: dict[str, str],
    chunks: Chunks,
    labels: RunLabels,
    read: Read,
    size: int,
) -> dict:
    ids = responses.index.tolist()
    column = {"run": run.run, "method": run.method, "seed": seed, "decoding": told, "verdicts": {}}
    column |= _texts(responses)
    if "scores" in run.files[seed]:
        column |= _scores(read_scores(run, seed).reindex(ids), chunks)
    for opponent in run.baselines:
        verdicts = read(run, seed, opponent)
        means = bootstrap.order_means(verdicts).reindex(ids)
        details = _details(verdicts, replies)
        column["verdicts"][opponent] = {
            "orders": int(verdicts["order"].nunique()),
            "preference": chunks.add_json([_rounded(value) for value in means]),
            "details": [chunks.add_json([details.get(name, []) for name in block]) for block in _blocks(ids, size)],
        }
        if (run, seed, opponent) in labels:
            label = [_rounded(value) for value in labels[run, seed, opponent].reindex(ids)]
            column["verdicts"][opponent]["labels"] = chunks.add_json(label)
    return column


def _texts(responses: pd.Series) -> dict:
    texts = [
        None if value is None or (isinstance(value, float) and math.isnan(value)) else response_text(value)
        for value in responses
    ]
    return {"text": texts, "responses": sum(text is not None for text in texts)}


def _rows(flags: pd.Series) -> list[int]:
    """The places at which a column is 1."""
    return [place for place, flag in enumerate(flags) if flag == 1]


def _scores(scores: pd.Series, chunks: Chunks) -> dict:
    return {"score": chunks.add_json([_rounded(value) for value in scores])}


def _details(verdicts: pd.DataFrame, replies: dict[str, str]) -> dict[str, list[list]]:
    """Per prompt its verdicts: [order, status, preference, score_run, score_baseline, judge, model, reply].

    A verdict on two answers that were graded alone has two request keys, with a space between them, and two replies.
    """
    columns = ["prompt_id", "order", "status", "preference", *DETAIL_COLUMNS]
    found: dict[str, list[list]] = {}
    for prompt, order, status, *numbers, judge, model, key in verdicts[columns].itertuples(index=False):
        reply = "\n\n".join(replies[name] for name in (key or "").split() if name in replies) or None
        texts = [None if text is None else printable(str(text)) for text in (judge, model, reply)]
        found.setdefault(prompt, []).append([order, status, *map(_rounded, numbers), *texts])
    return found


def _blocks(values: list, size: int) -> list[list]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _rounded(value: object) -> float | None:
    """Four digits behind the point; None for what is no finite number."""
    number = float("nan") if value is None else float(value)
    return round(number, 4) + 0.0 if math.isfinite(number) else None
