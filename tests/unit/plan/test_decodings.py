"""Where the results under several decodings are."""

from pipeline.jobs.io import write_yaml
from pipeline.plan.specs import as_yaml, specs
from pipeline.results.run_table import read_run_table

DPO = "dpo-beta0.1"
MEASURED = ("evaluation", "cost", "metrics")  # of the policy, however it is decoded


def test_the_first_decoding_has_the_files_that_one_alone_has(small):
    alone, both = small(), small(decoding=["short", "greedy"])
    dpo = both.settings.runs[1]
    first = both.run_files(dpo, 1, "eval", "short")
    assert first == alone.run_files(dpo, 1, "eval") == both.run_files(dpo, 1, "eval")
    greedy = both.run_files(dpo, 1, "eval", "greedy")
    assert greedy["responses"] == "results/responses/small/tiny/dpo-beta0.1/seed1/greedy/eval.parquet"
    assert greedy["verdicts"] == {
        "chosen": "results/verdicts/small/tiny/dpo-beta0.1/seed1/greedy/eval-vs-chosen.parquet"
    }
    assert all(greedy[kind] == first[kind] for kind in MEASURED)
    for kind in MEASURED:
        assert both.files(kind) == alone.files(kind)
    for kind in ("responses", "scores", "verdicts"):
        assert both.files(kind)[: len(alone.files(kind))] == alone.files(kind)
        assert len(set(both.files(kind))) == 2 * len(alone.files(kind))


def test_a_further_decoding_is_a_spec_more(small):
    alone, both = (specs(small(decoding=given), {}) for given in ("short", ["short", "greedy"]))
    assert set(both) == set(alone) | {"generation/tiny/greedy"}
    same = {name for name in alone if as_yaml(alone[name]()) == as_yaml(both[name]())}
    assert same == set(alone) - {"runs", "config"}
    assert both["generation/tiny/greedy"]()["decoding"]["name"] == "greedy"


def test_the_selection_split_is_judged_under_the_first_decoding_alone(small):
    alone, both = small(), small(decoding=["short", "greedy"])
    assert both.run_table("selection") == alone.run_table("selection")
    assert both.files("responses", "verdicts", split="selection") == alone.files(
        "responses", "verdicts", split="selection"
    )
    reported = small(decoding=["short", "greedy"], split="selection")
    assert any("/greedy/selection.parquet" in path for path in reported.files("responses"))


def test_the_table_of_runs_has_each_under_each(small, tmp_path):
    plan = small(decoding=["short", "greedy"], judge="reward")
    write_yaml(plan.run_table("eval"), tmp_path / "runs.yaml")
    table = read_run_table(tmp_path / "runs.yaml")
    assert table.groups == [("small", "tiny", "short"), ("small", "tiny", "greedy")]
    assert table.decodings == ["short", "greedy"]
    assert [run.run for run in table.runs] == 2 * [run.name for run in plan.settings.runs]
    assert [run.run for run in table.first.runs] == [run.name for run in plan.settings.runs]
    assert sorted(table.paths("responses", *MEASURED)) == sorted(plan.files("responses", *MEASURED))
    shared = {run.run: run.judge_shares for run in table.runs}
    assert {run for run, what in shared.items() if what == "reward_model"} == {
        "dpr-beta0.1-g0.3-gamma0.3",
        "mix-r0.2-p0.2-g0.2",
    }
    assert set(shared.values()) == {"", "reward_model"}
    assert all("judge_shares" not in row for row in small().run_table("eval")["runs"])
