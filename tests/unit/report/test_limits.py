"""How what a win rate rests on changes the report's headline and sentences, and stands beside its numbers."""

import pytest
from fixtures_results import DPO, DPR, build_results

from pipeline.report.findings import disagreements, group_findings
from pipeline.report.leaderboard import leaderboard
from pipeline.report.results_table import results_section
from pipeline.results.caveats import BY_NAME, CAVEATS
from pipeline.results.run_table import read_run_table
from pipeline.results.seed_table import seed_table
from pipeline.results.tables import cost_table, winrate_table

GROUP = ("world", "W1M")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run table in which DPR is clearly better, and its win rates, which rest on nothing special."""
    table = read_run_table(build_results(tmp_path_factory.mktemp("results"), prompts=20))
    frame = winrate_table(table, resamples=100, refits=5).assign(caveats="")
    return table, frame


def resting_on(frame, run, cell):
    return frame.assign(caveats=frame["caveats"].where(frame["run"] != run, cell))


@pytest.mark.parametrize("caveat", CAVEATS, ids=lambda caveat: caveat.name)
def test_each_changes_headline_and_sentence_and_stands_beside_the_numbers(measured, caveat):
    table, frame = measured
    before, after = (group_findings(table, given, GROUP) for given in (frame, resting_on(frame, DPR, caveat.name)))
    assert before.lead.startswith("DPR beats DPO: it wins") and before.runs[-1].reasons == ""
    assert before.headline == before.runs[-1].text and before.headline.startswith(f"{DPR} beats {DPO}: it wins")
    for text, names in ((after.lead, ("DPR", "DPO")), (after.headline, (DPR, DPO)), (after.runs[-1].text, (DPR, DPO))):
        if caveat.circular:
            assert text.startswith(f"{names[0]} scores higher {caveat.words} than {names[1]}: it wins")
        else:
            assert text.startswith(f"{names[0]} beats {names[1]} {caveat.words}: it wins")
    assert after.runs[-1].reasons == caveat.reason and after.runs[1].reasons == ""
    board = {row["run"]: row["reasons"] for row in leaderboard(table, resting_on(frame, DPR, caveat.name), GROUP)}
    assert board == {"sft": "", DPO: "", DPR: caveat.reason}
    given = resting_on(frame, DPR, caveat.name)
    _, content = results_section(table, given, cost_table(table), seed_table(table), None, "")
    assert {row["caveats"] for row in content["rows"] if row["run"] == DPR and not row["seeded"]} == {caveat.name}


def test_no_clear_difference_is_said_with_its_limits_too(measured):
    table, frame = measured
    rates = {"win_rate": 51.0, "win_rate_low": 45.0, "win_rate_high": 57.0}
    frame = resting_on(frame, DPR, "one-seed;few-prompts")
    frame.loc[(frame["run"] == DPR) & (frame["baseline"] == DPO), list(rates)] = list(rates.values())
    text = group_findings(table, frame, GROUP).runs[-1].text
    assert text.startswith(f"No clear difference between {DPR} and {DPO} in one training, on fewer than 100 prompts:")


def test_with_one_seed_a_sentence_has_no_p_value(tmp_path):
    table = read_run_table(build_results(tmp_path, seeds=(1,), prompts=100))
    finding = group_findings(table, winrate_table(table, resamples=100, refits=0), GROUP).runs[-1]
    assert finding.verdict == "better" and " in one training: it wins" in finding.text and "p =" not in finding.text
    assert "p <" not in finding.text and finding.reasons == BY_NAME["one-seed"].reason


def test_decodings_that_disagree_are_a_sentence_of_their_own(tmp_path):
    strengths = {"sample": {}, "greedy": {DPR: (0.5, 0.5)}}
    table = read_run_table(build_results(tmp_path, decodings=strengths))
    frame = winrate_table(table, resamples=100, refits=0)
    sentence = disagreements(table, frame, GROUP)
    start = "The decodings disagree about how these compare with DPO."
    assert sentence == f"{start} Sample, better: DPR. Greedy, no clear difference: DPR."
    assert disagreements(table, frame[frame["decoding"] == "sample"], GROUP) == ""
    sampled = group_findings(table, frame, (*GROUP, "sample"))
    assert sampled.title == "world, W1M, sample" and "under one decoding and not under another" in sampled.lead
    assert group_findings(table, frame, (*GROUP, "greedy")).lead == "No method clearly beats DPO."
