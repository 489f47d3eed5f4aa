"""Where the results on sets of prompts are, and what their answers are judged against."""

from pipeline.config.settings import Settings
from pipeline.jobs.io import read_yaml, write_yaml
from pipeline.plan.files import Plan
from pipeline.plan.prompts import category_table, contaminations, set_files, set_opponent, set_report_arguments
from pipeline.plan.specs import as_yaml, specs
from pipeline.results.run_table import read_run_table
from unit.plan.conftest import REPOSITORY, SMALL

DPO, DPR = "dpo-beta0.1", "dpr-beta0.1-g0.3-gamma0.3"
SETS = {
    "plain": {"path": "p.jsonl"},
    "referred": {"path": "r.jsonl", "columns": {"prompt": "q", "reference": "a", "category": "c"}},
}


def with_sets(entries=None, **changes):
    config = read_yaml(SMALL)
    config["definitions"]["prompts"] = {name: entry | (entries or {}).get(name, {}) for name, entry in SETS.items()}
    return Plan(Settings.from_config(config | {"prompts": list(SETS), "judge": "reward"} | changes, REPOSITORY))


def test_a_config_without_sets_has_the_files_and_specs_that_it_had(small):
    plan, both = small(judge="reward"), with_sets()
    alone, more = specs(plan, {}), specs(both, {})
    assert set(more) - set(alone) == {f"{kind}/{name}" for kind in ("prompts", "sets") for name in SETS}
    assert {name for name in alone if as_yaml(alone[name]()) != as_yaml(more[name]())} == {"config"}
    assert both.files("responses", "verdicts") == plan.files("responses", "verdicts")
    assert set_report_arguments(plan.settings) == []
    assert set_files(plan, "responses") == category_table(plan.settings) == contaminations(plan.settings) == []


def test_answers_are_judged_against_references_and_the_baseline_run(tmp_path):
    plan = with_sets()
    tables = {}
    for name in SETS:
        write_yaml(plan.run_table(name), tmp_path / f"{name}.yaml")
        tables[name] = read_run_table(tmp_path / f"{name}.yaml")
    found = {name: {run.run: run.baselines for run in table.runs} for name, table in tables.items()}
    assert found["plain"][DPO] == [] and found["plain"][DPR] == [DPO]
    assert found["referred"][DPO] == ["reference"] and found["referred"][DPR] == ["reference", DPO]
    run = tables["referred"].runs[1]
    place = f"small/tiny/{DPO}/seed1/prompts"
    assert run.files[1]["responses"] == f"results/responses/{place}/referred.parquet"
    assert run.verdicts[1] == {"reference": f"results/verdicts/{place}/referred-vs-reference.parquet"}
    assert run.sources == "results/prompts/referred.parquet" and tables["plain"].runs[1].sources == ""
    assert {run.run for run in tables["plain"].runs if run.judge_shares} == {DPR, "mix-r0.2-p0.2-g0.2"}
    assert category_table(plan.settings) == ["results/winrate_by_category.csv"]
    told = " ".join(set_report_arguments(plan.settings))
    assert all(f"--set results/specs/sets/{name}.yaml" in told for name in SETS)
    assert (
        "--by-category results/winrate_by_category.csv --references referred=results/prompts/referred.parquet" in told
    )


def test_the_first_decoding_alone_answers():
    plan = with_sets(decoding=["short", "greedy"])
    assert {row["decoding"] for row in plan.run_table("plain")["runs"]} == {"short"}
    assert set_files(plan, "responses", "verdicts") == set_files(with_sets(), "responses", "verdicts")


def test_all_decodings_answer_the_sets_whose_entry_or_config_says_so():
    two, kinds = ["short", "greedy"], ("responses", "verdicts")
    first, every = with_sets(decoding=two), with_sets(decoding=two, prompt_decodings="all")
    assert set(set_files(first, *kinds)) < set(set_files(every, *kinds))
    further = set(set_files(every, *kinds)) - set(set_files(first, *kinds))
    assert further == {path.replace("/seed1/", "/seed1/greedy/") for path in set_files(first, *kinds)}
    own = with_sets({"plain": {"decodings": "all"}}, decoding=two)
    assert {name: {row["decoding"] for row in own.run_table(name)["runs"]} for name in SETS} == {
        "plain": set(two),
        "referred": {"short"},
    }
    held = with_sets({"plain": {"decodings": "first"}}, decoding=two, prompt_decodings="all")
    assert [held.decodings(name) for name in SETS] == [["short"], two]
    assert specs(own, {})["prompts/plain"]() == specs(first, {})["prompts/plain"]()  # nothing is prepared anew


def test_what_a_judge_is_told_of_a_set():
    from types import SimpleNamespace

    plan = with_sets(judge="PP")
    names = SimpleNamespace(dataset="small", model="tiny", run=DPR, seed=1, further="", set="plain", baseline=DPO)
    assert set_opponent(names) == f"results/responses/small/tiny/{DPO}/seed1/prompts/plain.parquet"
    names.further = "/greedy"
    assert set_opponent(names) == f"results/responses/small/tiny/{DPO}/seed1/greedy/prompts/plain.parquet"
    names.baseline = "reference"
    assert set_opponent(names) == "results/prompts/plain.parquet"
    assert plan.judge_arguments(names, None).startswith(
        "--prompts results/prompts/plain.parquet --service config/judges"
    )
    paid = {(one["runs"], one["split"]) for one in plan.paid_splits()}
    assert ("results/specs/sets/referred.yaml", "results/prompts/referred.parquet") in paid and len(paid) == 3
