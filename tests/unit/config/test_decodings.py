"""One decoding or several: their names, their specs, what is refused; and whether a judge is a stranger to a run."""

from types import SimpleNamespace

import pytest
import yaml

from pipeline.config.circularity import DATA, SAME, judge_shares
from pipeline.config.settings import ROOT, ConfigError, Settings

DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def test_a_name_is_a_list_of_one():
    one, same = (Settings.from_config(DEFAULT | {"decoding": given}) for given in ("greedy", ["greedy"]))
    assert one.decodings == same.decodings == ["greedy"]
    assert one.generation_spec("W1M") == same.generation_spec("W1M")
    assert Settings.from_config({key: DEFAULT[key] for key in DEFAULT if key != "decoding"}).decodings == ["sample"]


def test_each_decoding_has_a_spec_of_its_own():
    made = Settings.from_config(DEFAULT | {"decoding": ["sample", "greedy"]})
    sampled, greedy = made.generation_spec("W1M"), made.generation_spec("W1M", "greedy")
    assert sampled == made.generation_spec("W1M", "sample") == Settings.from_config(DEFAULT).generation_spec("W1M")
    assert greedy["decoding"] == sampled["decoding"] | {"name": "greedy", "do_sample": False}
    assert greedy["model"] == sampled["model"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["sample", "gredy"], r"decoding\[1\]: there is no decoding 'gredy' \(did you mean 'greedy'\?\)"),
        ("gredy", r"decoding: there is no decoding 'gredy'"),
        (["greedy", "greedy"], "decoding: it must be a list of at least 1 distinct items"),
        ([], "decoding: it must be a list of at least 1"),
        (3, "decoding: it must be a text, not 3"),
    ],
)
def test_what_is_no_decoding_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        Settings.from_config(DEFAULT | {"decoding": given})


def shares(judge, labels="mine", reward_models=None, datasets=None, kind="reward", **train):
    """What the judge, the reward model `judge`, shares with the one that labels."""
    entries = {"mine": {"train": {"model": "W1M"}}, "other": {"train": {"model": "W1M"} | train}}
    definitions = {"reward_models": entries | (reward_models or {}), "datasets": datasets or {}}
    made = Settings.from_config(DEFAULT | {"reward_model": labels, "definitions": definitions})
    spec = {"kind": kind} | ({"reward_model": judge} if judge else {})
    runs = {run.method: run for run in made.runs}

    class Judged(SimpleNamespace):
        def __getattr__(self, name):
            return getattr(made, name)

    judged = Judged(judge_spec=lambda name: spec)
    assert {judge_shares(judged, run) for method, run in runs.items() if method != "dpr"} == {""}
    return judge_shares(judged, runs["dpr"])


def test_a_judge_that_labelled_is_no_stranger():
    assert shares(None) == shares("mine") == SAME
    assert shares(None, kind="gold") == ""
    same = {"a": {"path": "owner/rm"}, "b": {"path": "owner/rm"}, "c": {"path": "owner/rm", "revision": "v2"}}
    assert shares("b", "a", same) == SAME and shares("c", "a", same) == "" and shares("mine", "a", same) == ""


def test_nor_is_one_of_the_same_pairs():
    halves = [{"share": {"part": part, "of": 2}} for part in (1, 2)]
    assert shares("other") == DATA
    assert shares("other", share=halves[0]["share"]) == DATA  # the other reads all
    mine = {"mine": {"train": {"model": "W1M"} | halves[0]}}
    assert shares("other", reward_models=mine, **halves[1]) == ""
    assert shares("other", reward_models=mine, **halves[0]) == DATA
    assert shares("other", reward_models=mine, share={"part": 2, "of": 2, "seed": 1}) == DATA  # drawn another way
    assert shares("other", reward_models=mine, share={"part": 2, "of": 3}) == DATA


def test_pairs_are_known_by_where_they_are_from():
    plain = {"source": "plain", "path": "owner/pairs", "eval_share": 0.1, "reward_model": "mine", "judge": "gold"}
    other = {
        "far": plain,
        "near": plain | {"limit": 10},
        "blend": {"mix": [{"dataset": "far"}, {"dataset": "fair-world"}]},
    }
    labels = {"mine": {"train": {"model": "W1M", "dataset": "far"}}}
    assert shares("other", reward_models=labels, datasets=other, dataset="near") == DATA
    elsewhere = other | {"near": plain | {"path": "owner/others"}}
    assert shares("other", reward_models=labels, datasets=elsewhere, dataset="near") == ""
    assert shares("other", reward_models=labels, datasets=elsewhere) == ""  # on the world's own
    blended = {"mine": {"train": {"model": "W1M", "dataset": "blend"}}}
    assert shares("other", reward_models=blended, datasets=other) == DATA  # of which the world is a part
