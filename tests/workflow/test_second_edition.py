"""The second edition of the embedded world, parts of verdicts, rows without a preference: who makes and reads what."""

import yaml

from workflow.snakemake_copy import SMALL, Workflow


def test_parts_and_unlabelled_rows_are_made_where_they_are_wanted_alone(tmp_path):
    workflow = Workflow.new(tmp_path / "fresh")
    config = yaml.safe_load(SMALL.read_text(encoding="utf-8"))
    config["definitions"]["datasets"]["small"] |= {"edition": 2, "judge": "fair-gold", "unlabelled": 0.5}
    (workflow.folder / "second.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    plan = workflow.plan(config="second.yaml")
    rules = [job.rule for job in plan]
    assert rules.count("prepare_partly_labelled") == rules.count("measure_parts") == 1 and "prepare_data" not in rules
    references = [job.wildcards for job in plan if job.rule == "compute_reference"]
    assert sorted(wildcards[-1] for wildcards in references) == ["eval", "train", "unlabelled"]
    usual = {job.rule for job in workflow.plan()}
    assert "prepare_data" in usual and not {"measure_parts", "prepare_partly_labelled"} & usual
