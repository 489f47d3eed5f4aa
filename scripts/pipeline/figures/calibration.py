"""The figures of a scored split: reliability, margins, scores against length."""

import altair as alt

from pipeline.figures.drawing import BLUE, INK, VERMILION, Figure, Panel, reference_line, values

FIGURES = ("reliability", "margins", "lengths")
HEIGHT = 230


def calibration_figures(measured: dict) -> list[Figure]:
    """The figures of `FIGURES`, from what `pipeline.metrics.calibration.calibration` measured."""
    return [reliability_figure(measured), margins_figure(measured), lengths_figure(measured)]


def reliability_figure(measured: dict) -> Figure:
    """Accuracy over confidence by bin, with intervals, beside the number of pairs in each bin."""
    data = alt.Chart(values(row for row in measured["bins"] if row["pairs"]))
    x = alt.X("confidence:Q", title="confidence: the larger of bt_prob and 1 − bt_prob", scale=_unit(0.5))
    y = alt.Y("accuracy:Q", title="pair accuracy (95% interval)", scale=_unit(0))
    tips = [*(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("confidence", "accuracy")), alt.Tooltip("pairs:Q")]
    diagonal = alt.Chart(alt.Data(values=[{"a": 0.5, "b": 0.5}, {"a": 1, "b": 1}]))
    curve = alt.layer(
        diagonal.mark_line(strokeDash=[4, 3], color=INK, opacity=0.5, strokeWidth=1).encode(x="a:Q", y="b:Q"),
        data.mark_rule(color=BLUE, strokeWidth=1.5).encode(x=x, y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q"),
        data.mark_line(color=BLUE, strokeWidth=1.5).encode(x=x, y=y),
        data.mark_point(color=BLUE, filled=True, size=50, opacity=1).encode(x=x, y=y, tooltip=tips),
    )
    bars = alt.Chart(values(measured["bins"])).mark_bar(color=BLUE)
    x = alt.X("low:Q", title="confidence", scale=_unit(0.5))
    counts = bars.encode(x=x, x2="high:Q", y="pairs:Q", y2=alt.datum(0), tooltip=["pairs:Q"])
    caption = (
        "How often the reward model prefers the dataset's chosen response, over how sure it is, with 95% interval. "
        "Below the dashed line it is too sure."
    )
    panels = [
        Panel(f"expected calibration error {measured['ece']:.3f}", curve.properties(height=HEIGHT)),
        Panel(f"{measured['pairs']} pairs of {measured['prompts']} prompts", counts.properties(height=HEIGHT)),
    ]
    return Figure("reliability", "Reliability", caption, [panels])


def margins_figure(measured: dict) -> Figure:
    """Histogram of the margins: pairs right of zero are those that the reward model orders as the dataset does."""
    margin = measured["margin"]
    edges, counts = margin["histogram"]["edges"], margin["histogram"]["counts"]
    rows = [
        {"low": low, "high": high, "pairs": count, "side": "chosen higher" if low >= 0 else "rejected higher"}
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    sides = alt.Scale(domain=["rejected higher", "chosen higher"], range=[VERMILION, BLUE])
    bars = alt.Chart(values(rows)).mark_bar()
    mean = alt.Chart(alt.Data(values=[{"at": margin["mean"]}])).mark_rule(color=INK)
    x, color = alt.X("low:Q", title="margin: chosen score − rejected score"), alt.Color("side:N", scale=sides)
    tips = ["low:Q", "high:Q", "pairs:Q"]
    counted = bars.encode(x=x, x2="high:Q", y="pairs:Q", y2=alt.datum(0), color=color, tooltip=tips)
    chart = alt.layer(counted, reference_line(0), mean.encode(x="at:Q"))
    caption = (
        "Score of the chosen response minus that of the rejected one. Right of zero the reward model orders the pair "
        "as the dataset does; the solid line is the mean."
    )
    panel = Panel(f"mean {margin['mean']:.3g}".replace("-", "−"), chart.properties(height=HEIGHT - 40))
    return Figure("margins", "Margins", caption, [[panel]])


def lengths_figure(measured: dict) -> Figure:
    """Scores over the length of the response, chosen and rejected, with the mean score of groups of like length."""
    panels = []
    for name, color in (("chosen", BLUE), ("rejected", VERMILION)):
        part = measured[name]
        correlation = part["length_correlation"]
        shown = "–" if correlation is None else f"{correlation:.2f}".replace("-", "−")
        points, groups = (
            [{"characters": length, "score": score} for length, score in part[kind]]
            for kind in ("length_points", "length_groups")
        )
        x = alt.X("characters:Q", title="characters of the response", scale=alt.Scale(zero=False))
        y = alt.Y("score:Q", title="score", scale=alt.Scale(zero=False))
        chart = alt.layer(
            alt.Chart(values(points)).mark_circle(size=14, opacity=0.35, color=color, aria=False).encode(x=x, y=y),
            alt.Chart(values(groups)).mark_line(color=color, strokeWidth=2).encode(x=x, y=y),
        )
        panels.append(Panel(f"{name}: rank correlation {shown}", chart.properties(height=HEIGHT)))
    caption = (
        "Score over the length of the response. Lines are means of ten groups of like length, points single responses."
    )
    return Figure("lengths", "Scores and lengths", caption, [panels])


def _unit(start: float) -> alt.Scale:
    return alt.Scale(domain=[start, 1])
