"""Each rule is stale by the code of the script that it runs, and by no other."""

import json
import re

import pytest

from pipeline.config.settings import Settings
from pipeline.jobs.io import read_yaml
from pipeline.jobs.provenance import code_fingerprint
from pipeline.plan.files import Plan
from pipeline.plan.specs import specs
from workflow.snakemake_copy import SMALL, snakemakes, variables

RULES = """
import json, sys, yaml
from pathlib import Path
from types import SimpleNamespace
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

with SnakemakeApi() as api:
    tasks = yaml.safe_load(Path("small.yaml").read_text())["tasks"]
    two = {"decoding": ["short", "greedy"], "tasks": [*tasks, {"method": "bon", "n": 4}], "prompts": ["mine"]}
    two["definitions"] = {"prompts": {"mine": {"path": "mine.jsonl", "judge": "gold"}}}
    config = ConfigSettings(configfiles=[Path("small.yaml")], config=two)
    workflow = api.workflow(ResourceSettings(cores=1), config_settings=config, snakefile=Path("Snakefile"))
    workflow.dag()
    names = SimpleNamespace(dataset="small", model="tiny", run=sys.argv[2], reward_model="tiny", judge="gold")
    names.decoding, names.further, names.candidates = "greedy", "", sys.argv[3]
    rules = {}
    for rule in workflow._workflow.rules:
        code = getattr(rule.params, "code", None)
        rules[rule.name] = rule.shellcmd, code(names) if callable(code) else code, bool(rule.template_engine)
Path(sys.argv[1]).write_text(json.dumps(rules))
"""


RUN = "dpr-beta0.1-g0.3-gamma0.3"
CANDIDATES = "n4-temperature1-top_p1-max_new_tokens24"
SPECS = {
    "prepare_data": ["data/small"],
    "prepare_partly_labelled": ["data/small"],
    "train_reward": ["reward/tiny"],
    "train_policy": [f"policy/small/tiny/{RUN}", "reward/tiny"],
    "count_steps": [f"policy/small/tiny/{RUN}", "reward/tiny"],
    "generate_responses": ["generation/tiny"],
    "evaluate_checkpoints": ["judge/gold", "checkpoints/tiny"],
    "decode_responses": ["generation/tiny/greedy"],
    "sample_candidates": [f"candidates/small/tiny/{CANDIDATES}", "reward/tiny"],
    "score_responses": ["reward/tiny"],
    "score_bt": ["reward/tiny"],
    "judge_responses": ["judge/gold"],
    "answer_prompts": ["generation/tiny"],
    "sample_for_prompts": [f"candidates/small/tiny/{CANDIDATES}", "reward/tiny"],
    "judge_prompts": ["judge/gold"],
    "measure_judge": ["judge/gold"],
}
# A reward model whose entry names no text format may have any.
BY_ANY = ("train_reward", "score_responses", "score_bt")
# Rules that do what another does with other files: of the selection split, a split more, a set.
ALIKE = {"compute_selection": "compute_winrate", "prepare_partly_labelled": "prepare_data"}
ALIKE |= {"run_lm_eval_start": "run_lm_eval"}
ALIKE |= {"answer_prompts": "decode_responses", "judge_prompts": "judge_responses"}
ALIKE |= {"sample_for_prompts": "sample_candidates", "choose_for_prompts": "choose_responses"}
ALIKE |= {"read_prompts": "read_responses"}
ALIKE |= dict.fromkeys(("export_alpaca_eval", "export_arena_hard"), "export_responses")

NAMED = {"score_bt": [{"source": "plain"}]}  # by the rule itself: prepared splits are plain


@pytest.fixture
def rules(fresh, tmp_path):
    """{name: (shell line or None, fingerprint of RUN's job or None, whether it is a template)} of the rules."""
    (tmp_path / "rules.py").write_text(RULES)
    arguments = [str(tmp_path / "rules.py"), str(tmp_path / "rules.json"), RUN, CANDIDATES]
    with open(tmp_path / "told", "w") as output:
        ended = snakemakes().run(arguments, fresh.folder, variables(), output.fileno(), 300)
    assert ended == 0, (tmp_path / "told").read_text()
    return json.loads((tmp_path / "rules.json").read_text())


def test_each_rule_has_the_fingerprint_of_its_own_script_and_of_what_its_specs_name(rules):
    config = read_yaml(SMALL)
    further = {"decoding": ["short", "greedy"], "tasks": [*config["tasks"], {"method": "bon", "n": 4}]}
    made = specs(Plan(Settings.from_config(config | further)), {})
    found = 0
    for name, (line, code, _) in rules.items():
        scripts = re.findall(r"scripts/(\w+\.py)", line or "")
        own = ALIKE.get(name, name)
        assert len(scripts) <= 1 and (not scripts or scripts == [f"{own}.py"]), name
        if name not in ("clean_state", "judge_cost"):  # they make nothing
            named = [made[spec]() for spec in SPECS.get(name, [])] + NAMED.get(name, [])
            assert code == (code_fingerprint(*scripts, *named) if scripts else None), name
            assert not named or code != code_fingerprint(*scripts) or name in BY_ANY, name
            found += code is not None
    assert found >= 14


def test_one_rule_writes_every_spec(rules):
    assert [name for name, (_, _, is_template) in rules.items() if is_template] == ["write_spec"]
