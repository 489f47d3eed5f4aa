"""A config with a mix: which datasets are prepared, from which files, and where the win rates by source are."""

import pytest
import yaml

from pipeline.config.settings import ConfigError
from pipeline.jobs.io import write_yaml
from pipeline.plan.specs import as_yaml, specs
from pipeline.results.run_table import read_run_table

WORLD = {"source": "world", "size": 160, "eval_size": 32, "selection_size": 16}
MIX = {"mix": [{"dataset": "one", "weight": 2}, {"dataset": "two"}], "reward_model": "tiny", "judge": "gold"}


@pytest.fixture
def mixed(small):
    """A function from changed keys of the mix, and of the config, to the plan."""

    def make(entry=None, datasets=("both",), others=None, **changes):
        definitions = yaml.safe_load(yaml.safe_dump(small().settings.config["definitions"]))
        entries = {"one": WORLD, "two": {**WORLD, "seed": 5}, "both": {**MIX, **(entry or {})}, **(others or {})}
        written = {"reward_models": {"tiny": {"train": {"model": "tiny"}}}, "models": definitions["models"]}
        return small(datasets=list(datasets), definitions={**written, "datasets": entries}, **changes)

    return make


def test_its_datasets_are_prepared_and_it_is_drawn_from_their_splits(mixed):
    plan = mixed()
    assert plan.prepared == ["one", "two", "both"]
    assert plan.mixed_splits("both") == [
        f"results/data/{name}/{split}.parquet" for name in ("one", "two") for split in ("train", "selection", "eval")
    ]
    assert plan.part_arguments("both") == ["--parts", "results/data/one", "results/data/two"]
    assert plan.mixed_splits("one") == [] and plan.part_arguments("one") == []
    assert mixed(datasets=("two", "both"), judge="gold", reward_model="tiny").prepared == ["two", "one", "both"]


def test_its_spec_is_of_the_draw_alone_and_its_datasets_have_their_own(mixed):
    plan = mixed({"limit": 100})
    found = specs(plan, {})
    assert yaml.safe_load(as_yaml(found["data/both"]())) == {
        **{"name": "both", "source": "mix", "limit": 100, "eval_size": None, "seed": 42, "near_duplicates": 0.8},
        "mix": [{"dataset": "one", "weight": 2.0}, {"dataset": "two", "weight": 1.0}],
    }
    assert found["data/two"]() == plan.settings.data_spec("two") and found["data/two"]()["seed"] == 5


def test_the_run_table_names_the_split_that_knows_the_sources(mixed, small, tmp_path):
    plan = mixed(datasets=("one", "both"), judge="gold", reward_model="tiny")
    write_yaml(plan.run_table("eval"), tmp_path / "runs.yaml")
    sources = {run.dataset: run.sources for run in read_run_table(tmp_path / "runs.yaml").runs}
    assert sources == {"one": "", "both": "results/data/both/eval.parquet"}
    assert plan.source_table() == ["results/winrate_by_source.csv"] and small().source_table() == []
    assert small().mixes("eval") == {} and "sources" not in small().run_table("eval")["runs"][0]


@pytest.mark.parametrize(
    ("entry", "others", "message"),
    [
        ({"mix": [{"dataset": "one"}]}, {}, "both.mix: it must be a list of at least 2 distinct items"),
        ({"mix": [{"dataset": "one"}, {"dataset": "too"}]}, {}, "both.mix[1].dataset: there is no dataset 'too' (did"),
        ({"mix": [{"dataset": "one"}, {"dataset": "one", "weight": 2}]}, {}, "both.mix: one stands there before; to"),
        ({"mix": [{"dataset": "one"}, {"dataset": "two", "weight": 0}]}, {}, "weight: it must be a number greater th"),
        ({"mix": [{"dataset": "one"}, {"dataset": "two", "share": 1}]}, {}, "both.mix[1].share: unknown key"),
        (
            {"mix": [{"dataset": "one"}, {"dataset": "all"}]},
            {"all": {"mix": [{"dataset": "one"}, {"dataset": "two"}]}},
            "both.mix[1].dataset: all is a mix itself; name the datasets that it is drawn from (one, two), with",
        ),
        ({"source": "plain"}, {}, "both.source: unknown key"),
        ({"label_switching": 0.1}, {}, "both.label_switching: unknown key"),
    ],
)
def test_what_cannot_be_mixed_is_refused(mixed, entry, others, message):
    with pytest.raises(ConfigError) as refused:
        mixed(entry, others=others)
    assert str(refused.value).startswith("config: definitions.datasets.") and message in str(refused.value)


def test_a_shipped_entry_is_checked_too(root_with, small):
    with pytest.raises(
        ConfigError, match=r"config/datasets\.yaml: both\.mix\[1\]\.dataset: there is no dataset 'none'"
    ):
        root_with("both: {mix: [{dataset: U10}, {dataset: none}]}\n")


@pytest.fixture
def root_with(tmp_path):
    """A function that reads the shipped entries with further ones in config/datasets.yaml."""
    from pipeline.config.entries import read_entries
    from pipeline.config.settings import ROOT

    def read(more):
        (tmp_path / "config").mkdir()
        text = (ROOT / "config/datasets.yaml").read_text(encoding="utf-8")
        (tmp_path / "config/datasets.yaml").write_text(text + more, encoding="utf-8")
        return read_entries("datasets", {}, tmp_path, "config")

    return read


def test_the_judge_and_the_selection_split_are_its_datasets(mixed):
    assert mixed(best_of_sweep=True).selection_table()
    with pytest.raises(ConfigError, match="best_of_sweep: True, but the dataset two has selection_size 0"):
        mixed(others={"two": {**WORLD, "selection_size": 0}}, best_of_sweep=True)
    plain = {"source": "plain", "path": "data/mine", "eval_share": 0.1}
    with pytest.raises(ConfigError, match="gold knows the embedded world alone and cannot judge the dataset both"):
        mixed(others={"two": plain})
