"""The first paragraph on sets of prompts: where another run is the best, and how sure that is."""

from dataclasses import replace

import pytest
from fixtures_results import DPO, DPR, RUNS, build_results
from fixtures_sets import made_set

from pipeline.report.by_set import set_sentences
from pipeline.report.responses import with_own_turns
from pipeline.report.texts import own_turns
from pipeline.results.run_table import read_run_table, read_verdicts
from pipeline.results.set_results import SetResults
from pipeline.results.tables import winrate_table

KTO = "kto-beta0.1"
GROUP = ("world", "W1M", "")
RATES = {
    "same": {DPR: 0.9, KTO: 0.6},
    "other": {DPR: 0.75, KTO: 0.99},
    "close": {DPR: 0.85, KTO: 0.87},
    "flat": {DPR: 0.5, KTO: 0.45},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The results on the split, where DPR wins, and on four sets."""
    root = tmp_path_factory.mktemp("sets")
    options = {"runs": RUNS | {KTO: ("kto", {"beta": 0.1})}, "prompts": 60, "seeds": (1, 2)}

    def strength(rates):
        return {name: (rate, rate) for name, rate in ({"sft": 0.3, DPO: 0.5} | rates).items()}

    (root / "eval").mkdir()
    table = read_run_table(build_results(root / "eval", strength=strength({DPR: 0.9, KTO: 0.6}), **options))
    found = {}
    for name, rates in RATES.items():
        own = read_run_table(made_set(root, name, strength=strength(rates), **options))
        found[name] = SetResults(name, own, winrate_table(own, 200, 0, 0))
    return table, winrate_table(table, 200, 0, 0), found


def sentence(made, *names):
    table, winrate, found = made
    return set_sentences(table, winrate, GROUP, [found[name] for name in names], read_verdicts)


def test_the_best_run_of_the_split_is_named_with_the_sets_where_it_is_the_best_too(made):
    assert sentence(made, "same") == "Best on eval is DPR, as on same."
    assert sentence(made, "same", "same", "same") == "Best on eval is DPR, as on all 3 sets of prompts."
    assert sentence(made) == ""


def test_another_best_run_is_told_with_how_sure_it_is(made):
    start = "Best on eval is DPR, as on same. On other it is KTO, clearly (p "
    assert sentence(made, "same", "other").startswith(start)
    close = sentence(made, "close")
    if "as on close" not in close:  # the draws have put the one or the other first
        assert "On close it is KTO, not clearly ahead of DPR (p = " in close
    assert sentence(made, "flat") == "Best on eval is DPR. On flat none is clearly better than DPO."


def test_where_no_run_is_better_on_the_split_the_sets_say_which_is_there(made):
    _, _, found = made
    table = replace(found["flat"].table, split="eval")
    text = set_sentences(table, found["flat"].winrate, GROUP, [found["flat"], found["other"]], read_verdicts)
    assert text == "No run is clearly better than DPO on eval, nor on flat. On other KTO is."


def test_several_turns_are_shown_with_the_runs_own_answers():
    def talk(answer):
        said = [("user", "One?"), ("assistant", answer), ("user", "Two?")]
        return [{"role": role, "content": text} for role, text in said]

    prompt, told = own_turns([talk("a"), talk("b")])
    assert prompt == [{"role": "user", "content": "One?"}]
    assert told(talk("b"), "c") == "b\n\nuser: Two?\n\nassistant: c"
    same, kept = own_turns([talk("a"), talk("a")])
    assert same == talk("a") and kept(talk("a"), "c") == "c"
    assert own_turns(["One?", "One?"])[0] == "One?" and with_own_turns({}) == {}
