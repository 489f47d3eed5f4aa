"""How often the intervals of a win rate hold the truth: both kinds of intervals on the same simulated verdicts.

Each experiment draws training seeds, which differ by a standard deviation in points of win rate, and prompts, which do
too; a verdict is a win or a loss by the probability that both give. The truth is the win rate over all seeds and
prompts that there could be. An interval for 95% should hold it in 95% of the experiments.

    python scripts/benchmark.py coverage --output results/benchmark_coverage.json
"""

import numpy as np

from benchmarks.measuring import markdown_table, parser_of
from pipeline.jobs.io import write_json
from pipeline.metrics.bootstrap import bootstrap_intervals
from pipeline.metrics.crossed import crossed_interval

SEEDS, SPREADS = (1, 3, 5, 10), (0, 2, 4, 8)
PROMPT_SPREAD = 20  # points of win rate between prompts
KINDS = ("bootstrap", "t")


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("coverage", __doc__)
    parser.add_argument("--experiments", type=int, default=1_000, help="simulated experiments of each setting")
    parser.add_argument("--prompts", type=int, default=256, help="prompts of each")
    parser.add_argument("--resamples", type=int, default=500, help="bootstrap resamples")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation")
    arguments = parser.parse_args(argv)
    draw = np.random.default_rng(arguments.seed)
    rows = []
    for seeds in SEEDS:
        for spread in SPREADS:
            cells = [verdicts(draw, seeds, arguments.prompts, spread) for _ in range(arguments.experiments)]
            rows.append({"seeds": seeds, "spread": spread, **coverage(cells, arguments.resamples)})
    write_json({"settings": vars(arguments) | {"output": str(arguments.output)}, "rows": rows}, arguments.output)
    print(as_table(rows))


def verdicts(draw: np.random.Generator, seeds: int, prompts: int, spread: float) -> np.ndarray:
    """Single verdicts, 0 or 100, shape (S, P); their mean over all seeds and prompts that there could be is 50."""
    likely = 50 + draw.normal(0, spread, (seeds, 1)) + draw.normal(0, PROMPT_SPREAD, (1, prompts))
    return 100.0 * (draw.random((seeds, prompts)) < likely / 100)


def coverage(experiments: list[np.ndarray], resamples: int) -> dict[str, float]:
    """In how many per cent of the experiments an interval holds 50, and its mean width in points, of both kinds."""
    found = {
        "bootstrap": np.array([bootstrap_intervals(cells[None], resamples)[0] for cells in experiments]),
        "t": np.array([crossed_interval(cells) for cells in experiments]),
    }
    row: dict[str, float] = {}
    for kind in KINDS:
        low, high = found[kind].T
        known = np.isfinite(low).all()
        row[kind] = 100 * float(((low <= 50) & (high >= 50)).mean()) if known else float("nan")
        row[f"{kind}_width"] = float((high - low).mean())
    return row


def as_table(rows: list[dict]) -> str:
    """The settings as a Markdown table."""
    header = ["seeds", "sd of seeds, points", *(f"{kind}: held, %; width" for kind in KINDS)]

    def cell(row: dict, kind: str) -> str:
        return "" if row[kind] != row[kind] else f"{row[kind]:.0f}; {row[f'{kind}_width']:.1f}"

    return markdown_table(header, [[row["seeds"], row["spread"], *(cell(row, kind) for kind in KINDS)] for row in rows])
