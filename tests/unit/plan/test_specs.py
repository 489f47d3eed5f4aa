"""Every spec that a config can ask for, and no other."""

import pytest
import yaml

from pipeline.config.settings import Settings
from pipeline.jobs.provenance import SCRIPTS, _imported_files
from pipeline.plan.files import Plan
from pipeline.plan.specs import as_yaml, specs
from pipeline.publishing.plan import repositories

CONFIGS = [path for path in (SCRIPTS.parent / "config").glob("*.yaml") if "tasks:" in path.read_text(encoding="utf-8")]
POLICIES = ["dpo-beta0.1", "ddp-beta0.1-r0.4-rho0.2", "dpp-beta0.1-p0.3-pi0.2", "dpr-beta0.1-g0.3-gamma0.3"]


def specs_of(plan):
    return specs(plan, repositories(plan.settings))


def test_a_config_s_specs_by_name(small):
    plan = small(publish={"kinds": ["dataset", "report"], "prefix": "x-"})
    found, entries = specs_of(plan), plan.settings.entries
    of_entries = {f"{kind}/small/{name}" for kind in ("sft", "reference") for name in entries["models"]}
    of_entries |= {f"reward/{name}" for name in entries["reward_models"]}
    assert {"sft/small/tiny", "sft/small/W1M", "reward/tiny", "reward/deberta"} < of_entries
    assert set(found) == of_entries | {
        *("config", "runs", "selection", "data/small", "generation/tiny", "checkpoints/tiny", "judge/gold"),
        *(f"policy/small/tiny/{run}" for run in [*POLICIES, "mix-r0.2-p0.2-g0.2"]),
        *("publication/datasets/x-small", "publication/spaces/x-report"),
    }


def test_each_has_its_stage_s_content(small):
    plan = small(datasets=["small", "world"], models=["tiny", "W1M"])
    found, settings = specs_of(plan), plan.settings
    assert found["runs"]() == plan.run_table("eval") and found["selection"]() == plan.run_table("selection")
    assert found["data/world"]() == settings.data_spec("world")
    assert found["sft/world/tiny"]() == settings.sft_spec("world", "tiny")
    assert found["reference/small/W1M"]() == settings.reference_spec("small", "W1M")
    policy = found["policy/world/tiny/dpr-beta0.1-g0.3-gamma0.3"]()
    assert policy == settings.policy_spec("world", "tiny", "dpr-beta0.1-g0.3-gamma0.3")
    assert policy["dataset"] == policy["reward_model"] == "world" and policy["model"]["name"] == "tiny"
    assert found["generation/W1M"]() == settings.generation_spec("W1M")
    assert found["reward/eurus"]() == settings.reward_spec("small", "eurus")
    assert found["judge/gold"]() == settings.judge_spec("gold")
    assert found["publication/models/small-small-tiny-sft"]()["records"]["spec"] == "results/specs/sft/small/tiny.yaml"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_text_of_a_spec_is_its_content(path):
    found = specs_of(Plan(Settings.from_config(yaml.safe_load(path.read_text(encoding="utf-8")))))
    assert len(found) > 20
    for name, make in found.items():
        assert yaml.safe_load(as_yaml(make())) == make(), name


def test_keys_and_letters_of_the_text_stay_as_they_are():
    assert as_yaml({"b": "größer", "a": {"d": 1.0e-5, "c": None}}) == "b: größer\na:\n  d: 1.0e-05\n  c: null\n"


def test_no_job_is_made_stale_by_the_plan():
    """It is Snakemake's alone: no script imports it."""
    found = {path for script in SCRIPTS.glob("*.py") for path in _imported_files(script)}
    assert SCRIPTS / "pipeline/results/run_table.py" in found
    assert not [path for path in found if path.parent == SCRIPTS / "pipeline/plan"]


def test_rules_find_a_reward_models_spec_by_its_seeds():
    """Under seed_scope all a trained reward model has one per seed; that without a seed is of none of them."""
    rules = {path.name: path.read_text(encoding="utf-8") for path in (SCRIPTS.parent / "rules").glob("*.smk")}
    assert [name for name, text in rules.items() if 'f"results/specs/reward/' in text] == ["common.smk"]
