"""Time the statistics of a million verdicts: win rates and paired differences, and what needs a fit beside them.

    python scripts/benchmark.py statistics --output results/benchmark_statistics.json

The verdicts are drawn at random: 50 runs on 10,000 prompts, each pair judged in both orders. Each part is a process of
its own: win rates and paired differences with 1,000 resamples; length-controlled win rates of all runs, and the
Bradley-Terry leaderboard, each with 20 refits.
"""

import json
import tempfile
import time

import numpy as np
import pandas as pd

from benchmarks.measuring import in_a_process, options_of, parser_of
from pipeline.jobs.io import read_parquet, write_json, write_parquet
from pipeline.jobs.records import peak_memory_mib
from pipeline.metrics.comparison import compare
from pipeline.metrics.leaderboard import rating_intervals
from pipeline.metrics.length_control import fit_difficulty, length_controlled_interval, length_controlled_rate

RUNS, PROMPTS = 50, 10_000
PARTS = ("means", "length_control", "leaderboard")


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("statistics", __doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="prompts of each")
    parser.add_argument("--resamples", type=int, default=1_000, help="bootstrap resamples of the means")
    parser.add_argument("--refits", type=int, default=20, help="resamples of the fits")
    arguments = parser.parse_args(argv)
    if arguments.case is not None:
        seconds = measure(*arguments.case, arguments.resamples, arguments.refits)
        print(json.dumps({"seconds": seconds, "peak_mib": peak_memory_mib()}))
        return
    results = {"verdicts": 2 * arguments.runs * arguments.prompts}
    results |= {"resamples": arguments.resamples, "refits": arguments.refits}
    with tempfile.TemporaryDirectory() as scratch:
        path = f"{scratch}/verdicts.parquet"
        write_parquet(verdicts(arguments.runs, arguments.prompts), path)
        options = options_of(arguments, "resamples", "refits")
        results |= {part: in_a_process("statistics", [part, path], options) for part in PARTS}
    print(results)
    write_json(results, arguments.output)


def measure(part: str, path: str, resamples: int, refits: int) -> float:
    """Seconds of one of PARTS: win rates and differences from the file to the table, or fits of the read verdicts."""
    started = time.perf_counter()
    table = read_parquet(path)
    if part == "means":
        compare(table, reference="run00", resamples=resamples, refits=0)
        return time.perf_counter() - started
    games = table.groupby(["run", "baseline", "prompt_id"])[["preference", "len_run", "len_baseline"]].mean()
    games = games.reset_index().assign(seed=0)
    started = time.perf_counter()
    if part == "leaderboard":
        rating_intervals(games, "base", refits, 0)
        return time.perf_counter() - started
    longer = (games["len_baseline"] - games["len_run"]).to_numpy()
    preference, run, prompt_id = (games[name].to_numpy() for name in ("preference", "run", "prompt_id"))
    difficulty = fit_difficulty(preference, longer, run, prompt_id)
    for _, rows in games.groupby("run"):
        at = rows.index.to_numpy()
        fitted = rows["preference"].to_numpy(), longer[at], None if difficulty is None else difficulty[at]
        length_controlled_rate(*fitted)
        length_controlled_interval(*fitted, rows["prompt_id"].to_numpy(), rows["seed"].to_numpy(), refits, 0)
    return time.perf_counter() - started


def verdicts(runs: int, prompts: int) -> pd.DataFrame:
    """Random verdicts: better runs win more often, harder prompts are lost more often, length helps."""
    rng = np.random.default_rng(0)
    hard, tables = rng.normal(0, 1, prompts), []
    for index in range(runs):
        longer = rng.normal(0, 300, prompts)
        likely = 1 / (1 + np.exp(-(index / runs - hard + np.tanh(longer / 300))))
        for order in ("ab", "ba"):
            table = {"run": f"run{index:02}", "baseline": "base", "prompt_id": np.arange(prompts).astype(str)}
            table |= {"order": order, "preference": (rng.random(prompts) < likely).astype(float)}
            tables.append(pd.DataFrame(table | {"len_run": np.maximum(1000 + longer, 1), "len_baseline": 1000.0}))
    return pd.concat(tables, ignore_index=True)
