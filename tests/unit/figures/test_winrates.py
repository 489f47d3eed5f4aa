"""The figures: files written, same bytes twice, every run in them, odd tables."""

from xml.etree import ElementTree

import pytest
from fixtures_results import DPO, DPR, build_results

import plot_figures
from pipeline.figures.curves import learning_curves
from pipeline.figures.drawing import panel_specification
from pipeline.figures.winrates import FIGURES, figures, winrate_figure, write_figures
from pipeline.jobs.io import InputError, read_yaml, write_csv, write_yaml
from pipeline.results.run_table import read_metrics, read_run_table
from pipeline.results.seed_table import seed_table
from pipeline.results.tables import cost_table, read_table, winrate_table


def make(tmp_path, **options):
    path = build_results(tmp_path, **options)
    table = read_run_table(path)
    write_csv(winrate_table(table, resamples=50, refits=5), tmp_path / "winrate.csv")
    write_csv(cost_table(table), tmp_path / "cost.csv")
    return table, read_table(tmp_path / "winrate.csv"), read_table(tmp_path / "cost.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run table, its win rates and costs, for the tests that only read them."""
    return make(tmp_path_factory.mktemp("made"), prompts=6)


def numbers(panel, layer, field):
    """A field of the data that a layer of a panel draws."""
    specification = panel_specification(panel)
    part = specification["layer"][layer]
    data = part.get("data") or specification["data"]
    rows = specification["datasets"][data["name"]] if "name" in data else data["values"]
    return [row.get(field) for row in rows]


def test_files_have_the_same_bytes_twice(tmp_path):
    table, *_ = make(tmp_path, prompts=12)
    for folder in ("one", "two"):
        arguments = ["--runs", table.path, "--winrate", str(tmp_path / "winrate.csv"), "--cost"]
        plot_figures.main([*arguments, str(tmp_path / "cost.csv"), "--output-dir", str(tmp_path / folder)])
    names = sorted(path.name for path in (tmp_path / "one").iterdir() if path.suffix != ".json")
    assert names == sorted([f"{name}.svg" for name in (*FIGURES, "agreement_vs_kl")] + ["winrate.png"])
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        if name.endswith(".svg"):
            assert ElementTree.fromstring(content).tag.endswith("svg")
    assert (tmp_path / "one" / "winrate.png").stat().st_size < 100_000
    assert DPR in (tmp_path / "one" / "winrate.svg").read_text()
    assert "agreement, %" in (tmp_path / "one" / "agreement_vs_kl.svg").read_text()


def test_a_panel_per_opponent_and_group(tmp_path):
    table, winrate, _ = make(tmp_path, prompts=12, groups=(("world", "W1M"), ("other", "W2M")))
    figure = winrate_figure(table, winrate)
    assert [len(row) for row in figure.rows] == [2, 2]
    assert figure.rows[0][0].title == "world, W1M; against the chosen responses"
    assert numbers(figure.rows[0][0], 1, "run") == ["sft", DPO, DPR]
    assert numbers(figure.rows[0][1], 1, "run") == ["sft", DPR]
    shown = winrate[(winrate["dataset"] == "world") & (winrate["baseline"] == "chosen")]["win_rate"]
    assert numbers(figure.rows[0][0], 1, "win_rate") == shown.tolist()


def test_methods_differ_in_colour_and_in_marker(made):
    table, winrate, _ = made
    layers = panel_specification(winrate_figure(table, winrate).rows[0][0])["layer"]
    encoding = next(layer["encoding"] for layer in layers if "shape" in layer["encoding"])
    for channel in ("color", "shape"):
        scale = encoding[channel]["scale"]
        assert scale["domain"] == ["sft", "dpo", "dpr"] and len(set(scale["range"])) == 3


def test_curves_differ_in_their_dashes_and_one_logged_step_is_seen(made):
    table, *_ = made
    panel = learning_curves(table, {group: table.runs_of(group) for group in table.groups}).rows[0][0]
    layers = panel_specification(panel)["layer"]
    [dash] = [layer["encoding"]["strokeDash"] for layer in layers if "strokeDash" in layer["encoding"]]
    assert dash["field"] == "method" and dash["scale"]["domain"] == ["dpo", "dpr"]
    assert len({tuple(dashes) for dashes in dash["scale"]["range"]}) == 2
    assert [layer["mark"]["type"] for layer in layers] == ["area", "line", "point"]


def test_the_curve_is_the_mean_over_seeds(made):
    table, *_ = made
    figure = learning_curves(table, {group: table.runs_of(group) for group in table.groups})
    drawn = numbers(figure.rows[0][0], 1, "mean")[:4]
    losses = [read_metrics(table.runs[1], seed).query("metric == 'loss'")["value"].to_numpy() for seed in (1, 2, 3)]
    assert drawn == pytest.approx(sum(losses) / 3)


def test_the_cost_is_drawn_as_a_multiple_of_the_baselines(made):
    table, winrate, cost = made
    panel = figures(table, winrate, cost, seed_table(table))["cost"].rows[0][0]
    assert numbers(panel, 0, "part") == ["training", "sampling"] * 2
    assert numbers(panel, 0, "length") == pytest.approx([0.75, 0.25, 1.5, 0.5])


@pytest.mark.parametrize("options", [{"prompts": 1}, {"seeds": (4,), "prompts": 6}])
def test_few_prompts_or_seeds_are_drawn(tmp_path, options):
    write_figures(*make(tmp_path, **options), tmp_path / "figures")


def test_runs_without_scores_evaluation_or_training_are_drawn(tmp_path):
    path = build_results(tmp_path, prompts=6)
    content = read_yaml(path)
    for entry in content["runs"]:
        for files in entry["seeds"].values():
            for kind in ("scores", "evaluation", "metrics", "cost"):
                files.pop(kind, None)
    write_yaml(content, path)
    table = read_run_table(path)
    write_csv(winrate_table(table, resamples=50, refits=5), tmp_path / "winrate.csv")
    write_csv(cost_table(table), tmp_path / "cost.csv")
    tables = read_table(tmp_path / "winrate.csv"), read_table(tmp_path / "cost.csv")
    write_figures(table, *tables, tmp_path / "figures")
    assert "nothing was measured" in (tmp_path / "figures/reward.svg").read_text()
    drawn = figures(table, *tables, seed_table(table))
    assert not drawn["winrate_vs_kl"].rows and not drawn["cost"].rows and drawn["winrate"].rows[0]


def test_a_run_without_a_row_is_refused(made, tmp_path):
    table, winrate, cost = made
    with pytest.raises(InputError, match="has no row in the win-rate table"):
        write_figures(table, winrate[winrate["run"] != DPR], cost, tmp_path / "figures")
