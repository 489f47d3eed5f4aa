"""Each rule is stale by the code of the script that it runs, and by no other."""

import json
import re

import pytest

from pipeline.jobs.provenance import code_fingerprint
from workflow.snakemake_copy import snakemakes, variables

RULES = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

with SnakemakeApi() as api:
    config = ConfigSettings(configfiles=[Path("small.yaml")])
    workflow = api.workflow(ResourceSettings(cores=1), config_settings=config, snakefile=Path("Snakefile"))
    workflow.dag()
    rules = {rule.name: (rule.shellcmd, getattr(rule.params, "code", None)) for rule in workflow._workflow.rules}
Path(sys.argv[1]).write_text(json.dumps(rules))
"""


@pytest.fixture
def rules(fresh, tmp_path):
    """{name: (shell line or None, fingerprint or None)} of each rule, as Snakemake has read them."""
    (tmp_path / "rules.py").write_text(RULES)
    arguments = [str(tmp_path / "rules.py"), str(tmp_path / "rules.json")]
    with open(tmp_path / "told", "w") as output:
        ended = snakemakes().run(arguments, fresh.folder, variables(), output.fileno(), 300)
    assert ended == 0, (tmp_path / "told").read_text()
    return json.loads((tmp_path / "rules.json").read_text())


def test_each_rule_has_the_fingerprint_of_its_own_script(rules):
    found = 0
    for name, (line, code) in rules.items():
        scripts = re.findall(r"scripts/(\w+\.py)", line or "")
        # the win rates of the selection split are computed as those of the other
        own = "compute_winrate" if name == "compute_selection" else name
        assert len(scripts) <= 1 and (not scripts or scripts == [f"{own}.py"]), name
        if name not in ("clean_state", "judge_cost"):  # they make nothing
            assert code == (code_fingerprint(*scripts) if scripts else None), name
            found += code is not None
    assert found >= 14


def test_one_rule_writes_every_spec():
    assert [name for name, block in RULES.items() if "template_engine:" in block] == ["write_spec"]
