"""Each rule is stale by the code of the script that it runs, and by no other."""

import re

from workflow.snakemake_copy import REPOSITORY

TEXT = "\n".join(path.read_text("utf-8") for path in sorted((REPOSITORY / "rules").glob("*.smk")))
RULES = {block.split(":", 1)[0]: block for block in re.split(r"^rule ", TEXT, flags=re.MULTILINE)[1:]}
SCRIPT = re.compile(r"scripts/(\w+\.py)")


def test_each_rule_has_the_fingerprint_of_its_own_script():
    found = 0
    for name, block in RULES.items():
        scripts, codes = SCRIPT.findall(block), re.findall(r'code=code\("([\w.]+)"\)', block)
        assert len(scripts) <= 1 and (not scripts or scripts == [f"{name}.py"]), name
        if name not in ("clean_state", "judge_cost"):  # they make nothing
            assert codes == scripts, name
            found += len(codes)
    assert found >= 14


def test_one_rule_writes_every_spec():
    assert [name for name, block in RULES.items() if "template_engine:" in block] == ["write_spec"]
