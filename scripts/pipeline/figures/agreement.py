"""How often judge and reward model agree on the runs' responses, against how far the runs are from their reference."""

import altair as alt

from pipeline.figures.drawing import Figure, Panel, values
from pipeline.figures.styles import method_color, method_shape
from pipeline.results.run_table import CHOSEN, RunTable

HEIGHT = 280
AGREEMENT = ("agreement", "agreement_low", "agreement_high")


def agreement_figure(table: RunTable, rows: list[dict]) -> Figure:
    """A row of panels per (dataset, model, decoding), a panel per opponent: each seed, and each run's mean.

    Args:
        rows: group, run, method, opponent, kl (nats), agreement with agreement_low and agreement_high (per cent), and
            seeds: kl and agreement of each seed.
    """
    panels = []
    for group in table.groups:
        of_group = [row for row in rows if row["group"] == group and row["kl"] == row["kl"]]
        opponents = sorted({row["opponent"] for row in of_group}, key=lambda name: name != CHOSEN)
        place = f"{table.title_of(group)}; " if len(table.groups) > 1 else ""
        panels.append(
            [
                Panel(
                    f"{place}against {'the chosen responses' if opponent == CHOSEN else opponent}",
                    _scatter(table, [row for row in of_group if row["opponent"] == opponent]),
                )
                for opponent in opponents
            ]
        )
    return Figure(
        "agreement_vs_kl",
        "Agreement of judge and reward model, and distance from the reference",
        "Share of the pairs that both decide on which they prefer the same response, with its 95% interval; hollow: "
        "each seed. Where it falls as the KL divergence grows, policies go where the reward model can be trusted less.",
        [row for row in panels if row],
    )


def _scatter(table: RunTable, rows: list[dict]) -> alt.LayerChart:
    runs = [run for run in table.runs_of(rows[0]["group"]) if run.run in {row["run"] for row in rows}]
    named = ("run", "method", "kl")
    single = [seed | {name: row[name] for name in named[:2]} for row in rows for seed in row["seeds"]]
    data = alt.Chart(values({name: row[name] for name in (*named, *AGREEMENT)} for row in rows))
    x = alt.X(
        "kl:Q", title="KL to the reference, nats per response", scale=alt.Scale(zero=False, nice=False, padding=14)
    )
    y = alt.Y("agreement:Q", title="agreement, %", scale=alt.Scale(zero=False, padding=10))
    style = {"color": method_color(runs), "shape": method_shape(runs)}
    tips = [alt.Tooltip("run:N"), alt.Tooltip("kl:Q", title="KL", format=".2f")]
    share = [alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".1f") for name in AGREEMENT]
    layers = [
        alt.Chart(values(single))
        .mark_point(size=26, opacity=0.75)
        .encode(x=x, y=y, tooltip=[*tips, alt.Tooltip("seed:Q"), share[0]], **style),
        data.mark_rule(strokeWidth=1.5).encode(x=x, y="agreement_low:Q", y2="agreement_high:Q", color=style["color"]),
        data.mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, tooltip=[*tips, *share], **style),
    ]
    return alt.layer(*layers).properties(height=HEIGHT)
