"""The figures: files written, same bytes twice, every run in them, odd tables."""

from xml.etree import ElementTree

import pytest
from fixtures_results import DPO, DPR, build_results

import plot_figures
from pipeline.figures import FIGURES, curves_figure, winrate_figure, write_figures
from pipeline.io import InputError, read_yaml, write_csv, write_yaml
from pipeline.run_table import read_metrics, read_run_table
from pipeline.tables import read_table, winrate_table


def make(tmp_path, **options):
    path = build_results(tmp_path, **options)
    table = read_run_table(path)
    write_csv(winrate_table(table, resamples=50), tmp_path / "winrate.csv")
    return table, read_table(tmp_path / "winrate.csv")


def test_files_have_the_same_bytes_twice(tmp_path):
    table, _ = make(tmp_path, prompts=12)
    for folder in ("one", "two"):
        arguments = ["--runs", table.path, "--winrate", str(tmp_path / "winrate.csv")]
        plot_figures.main([*arguments, "--output-dir", str(tmp_path / folder)])
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted([f"{name}.svg" for name in FIGURES] + ["winrate.png"])
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        if name.endswith(".svg"):
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert b"<dc:date>" not in content
    assert (tmp_path / "one" / "winrate.png").stat().st_size < 100_000
    assert DPR in (tmp_path / "one" / "winrate.svg").read_text()


def test_a_panel_per_opponent_and_group(tmp_path):
    table, winrate = make(tmp_path, prompts=12, groups=(("world", "W1M"), ("other", "W2M")))
    figure = winrate_figure(table, winrate)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title(loc="left") == "world, W1M\nagainst the chosen responses"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["sft", DPO, DPR]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1


def test_the_curve_is_the_mean_over_seeds(tmp_path):
    table, _ = make(tmp_path, prompts=3)
    drawn = curves_figure(table).axes[0].get_lines()[0].get_ydata()
    losses = [read_metrics(table.runs[1], seed).query("metric == 'loss'")["value"].to_numpy() for seed in (1, 2, 3)]
    assert drawn == pytest.approx(sum(losses) / 3)


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
    write_csv(winrate_table(table, resamples=50), tmp_path / "winrate.csv")
    write_figures(table, read_table(tmp_path / "winrate.csv"), tmp_path / "figures")


def test_a_run_without_a_row_is_refused(tmp_path):
    table, winrate = make(tmp_path, prompts=6)
    with pytest.raises(InputError, match="has no row in the win-rate table"):
        write_figures(table, winrate[winrate["run"] != DPR], tmp_path / "figures")
