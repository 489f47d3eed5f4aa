"""Time the preparation of a large dataset against the row-by-row way, and measure its memory.

Makes preference pairs of random words, about a kilobyte each, with some that are empty, equal, duplicates and near
duplicates; prepares them in a process of its own, with one process and with all CPUs, without and with the search for
near duplicates; then does without the search what `datasets` users do, one row at a time with filter and map, and
compares the rows of every split.

    python scripts/benchmark.py data --rows 1000000 --output results/benchmark_data.json

Seconds are of whole processes, by the clock and by the CPUs, the fairer of the two where other work runs too; memory is
the largest sum of the resident sets of a process and its children.
"""

import contextlib
import hashlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measuring import in_a_process, parser_of
from pipeline.data.preparation import cpu_count, prepare
from pipeline.data.splitting import SPLITS
from pipeline.jobs.io import InputError, write_json

PIECE = 20_000
SPEC = {"name": "benchmark", "source": "pku", "preference": "helpful", "splits": {"train": "train"}, "seed": 42}
SPEC |= {"eval_share": 0.05, "selection_share": 0.05}


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("data", __doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="pairs of the source")
    parser.add_argument(
        "--scratch", type=Path, help="folder for the files; the system's for temporary ones if left out"
    )
    arguments = parser.parse_args(argv)
    if arguments.case is not None:
        print(json.dumps(CASES[arguments.case["how"]](**arguments.case["arguments"])))
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        source = str(Path(scratch) / "rows.parquet")
        make_rows(source, arguments.rows)
        results = [
            measure("prepare", scratch, "one", source=source, processes=1, near_duplicates=None),
            measure("prepare", scratch, "all", source=source, processes=cpu_count(), near_duplicates=None),
            measure("prepare", scratch, "near-one", source=source, processes=1, near_duplicates=0.8),
            measure("prepare", scratch, "near-all", source=source, processes=cpu_count(), near_duplicates=0.8),
            measure("row_by_row", scratch, "plain", source=source),
        ]
        for names in (("one", "all", "plain"), ("near-one", "near-all")):
            same = [fingerprints(Path(scratch) / name) for name in names]
            if any(other != same[0] for other in same):
                raise InputError(f"the ways {', '.join(names)} give other rows: {same}")
    write_json({"rows": arguments.rows, "cpus": cpu_count(), "results": results}, arguments.output)
    for result in results:
        seconds, cpu_seconds = (f"{result[name]:.1f} s" for name in ("seconds", "cpu_seconds"))
        ratios = [results[-1][name] / result[name] for name in ("seconds", "cpu_seconds")]
        faster = "row by row takes {:.1f} times as long, {:.1f} times by CPU".format(*ratios)
        print(f"{result['case']}: {seconds}, {cpu_seconds} of CPU, {result['peak_mib']:.0f} MiB; {faster}")
    for kind, one, several in (("without", *results[:2]), ("with", *results[2:4])):
        ratio = several["seconds"] / one["seconds"]
        print(f"{kind} the search for near duplicates {cpu_count()} processes take {ratio:.2f} of one's time")


def make_rows(path: str, rows: int) -> None:
    """Write pairs in PKU-SafeRLHF's columns: prompts of 30 words, responses of 20 to 100."""
    draw = np.random.default_rng(0)
    words = pa.array([f"{'bcdfglmnprst'[i % 12]}{'aeiou'[i % 5]}{i:x}" for i in range(20_000)])
    schema = pa.schema([("prompt", pa.string()), ("response_0", pa.string()), ("response_1", pa.string())])
    schema = schema.append(pa.field("better_response_id", pa.int64()))
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, PIECE):
            count = min(PIECE, rows - start)
            prompt, first, second = (_texts(draw, words, count, *span) for span in ((30, 31), (20, 100), (20, 100)))
            kind = draw.random(count)
            second = pc.if_else(pa.array(kind < 0.01), first, second)
            second = pc.if_else(pa.array((kind > 0.01) & (kind < 0.02)), "  ", second)
            again = pa.array(np.where((kind > 0.02) & (kind < 0.06), draw.permutation(count), np.arange(count)))
            prompt, first, second = (column.take(again) for column in (prompt, first, second))
            first = pc.if_else(pa.array(kind < 0.04), first, pc.binary_join_element_wise(first, "indeed", " "))
            writer.write_table(pa.table([prompt, first, second, pa.array(np.zeros(count, np.int64))], schema=schema))


def _texts(draw: np.random.Generator, words: pa.Array, count: int, low: int, high: int) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(draw.integers(low, high, count))]).astype(np.int32)
    places = (len(words) * draw.random(offsets[-1]) ** 3).astype(np.int64)  # some words are much more common
    return pc.binary_join(pa.ListArray.from_arrays(offsets, words.take(pa.array(places))), " ")


def measure(how: str, scratch: str, name: str, **arguments) -> dict:
    """Run a case in a process of its own: {case, seconds, cpu_seconds (of all its processes), peak_mib}."""
    import psutil

    case = {"how": how, "arguments": {**arguments, "folder": f"{scratch}/{name}"}}
    started, peak = time.perf_counter(), 0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)

    def watch(process: int) -> None:
        nonlocal peak
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process)
            peak = max(peak, sum(each.memory_info().rss for each in (parent, *parent.children(recursive=True))))

    in_a_process("data", case, watch=watch)
    seconds = time.perf_counter() - started
    given = ", ".join(f"{key} {value}" for key, value in arguments.items() if key != "source")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    result = {"case": f"{how} {given}".strip(), "seconds": seconds, "cpu_seconds": cpu_seconds}
    result["peak_mib"] = peak / 2**20
    print(result, file=sys.stderr, flush=True)
    return result


def vectorised(source: str, folder: str, processes: int, near_duplicates: float | None) -> None:
    """What scripts/prepare_data.py does."""
    prepare({**SPEC, "path": source, "near_duplicates": near_duplicates}, folder, processes)


def row_by_row(source: str, folder: str) -> None:
    """The same with `datasets`, one row at a time; its cache is below the folder."""
    import datasets

    from pipeline.data.prompt_ids import prompt_id

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_parquet(source, cache_dir=f"{folder}-cache")

    def preferred(row: dict) -> dict:
        better = row["better_response_id"]
        return {"chosen": row[f"response_{better}"], "rejected": row[f"response_{1 - better}"]}

    def described(row: dict) -> dict:
        return {"prompt_id": prompt_id(row["prompt"]), "lengths": [len(row["chosen"]), len(row["rejected"])]}

    seen = set()

    def is_new(row: dict) -> bool:
        pair = (row["prompt"], row["chosen"], row["rejected"])
        digest = hashlib.blake2b(repr(pair).encode(), digest_size=16).digest()
        return not (digest in seen or seen.add(digest))

    rows = rows.filter(lambda row: row["better_response_id"] in (0, 1)).map(preferred)
    rows = rows.filter(lambda row: all(row[name].strip() for name in ("prompt", "chosen", "rejected")))
    rows = rows.filter(lambda row: row["chosen"] != row["rejected"]).map(described)
    rows = rows.filter(is_new, load_from_cache_file=False)
    rows = rows.select(np.random.default_rng(SPEC["seed"]).permutation(len(rows)))
    prompts = sorted(
        set(rows["prompt_id"]), key=lambda prompt: hashlib.sha256(f"{SPEC['seed']}:{prompt}".encode()).digest()
    )
    held_out = round(SPEC["eval_share"] * len(prompts))
    selected = round(SPEC["selection_share"] * (len(prompts) - held_out))
    place = dict.fromkeys(prompts, "train")
    place |= dict.fromkeys(prompts[:held_out], "eval")
    place |= dict.fromkeys(prompts[held_out : held_out + selected], "selection")
    for name in SPLITS:
        taken = set()

        def belongs(row: dict, name=name, taken=taken) -> bool:
            if place[row["prompt_id"]] != name:
                return False
            return name == "train" or not (row["prompt_id"] in taken or taken.add(row["prompt_id"]))

        split = rows.filter(belongs, load_from_cache_file=False)
        Path(folder).mkdir(exist_ok=True)
        split.select_columns(["prompt_id", "prompt", "chosen", "rejected"]).to_parquet(f"{folder}/{name}.parquet")


def fingerprints(folder: Path) -> dict:
    """Rows and a hash of the content of each split, in its order."""
    found = {}
    for name in SPLITS:
        digest, rows = hashlib.sha256(), 0
        columns = ["prompt_id", "prompt", "chosen", "rejected"]
        for batch in pq.ParquetFile(folder / f"{name}.parquet").iter_batches(PIECE, columns=columns):
            for row in zip(*(batch[column].to_pylist() for column in columns), strict=True):
                digest.update(repr(row).encode())
            rows += len(batch)
        found[name] = {"rows": rows, "sha256": digest.hexdigest()}
    return found


CASES = {"prepare": vectorised, "row_by_row": row_by_row}
