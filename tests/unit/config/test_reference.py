"""What is made from the descriptions is as they say, and what they say is complete."""

import json
import re
import shutil
import subprocess
import sys

import pytest

import write_reference
from pipeline.config import reference
from pipeline.config.fields import branches
from pipeline.config.judges import SERVICE_KEYS
from pipeline.config.named_losses import LOSSES
from pipeline.config.schema import SCHEMAS, load_schema
from pipeline.config.settings import ROOT
from pipeline.config.sweep import METHODS
from pipeline.figures import drawing
from pipeline.figures.styles import STYLES
from pipeline.jobs.io import InputError
from pipeline.jobs.parts import all_parts, load_part, part_names
from pipeline.publishing import cards

ROOMS = {
    "methods": {"SENTENCE", "CARD", "HYPERPARAMETERS", "ROWS", "COLOR", "MARKER"},
    "sources": {"SENTENCE", "KEYS", "REQUIRED"},
    "judge_kinds": {"SENTENCE", "KEYS", "REQUIRED"},
    "reward_formats": {"SENTENCE"},
    "backends": {"SENTENCE"},
}


def test_the_schemas_and_the_guide_are_what_the_descriptions_make():
    stale = [path.relative_to(ROOT).as_posix() for path in reference.stale_files()]
    assert not stale, f"stale: {', '.join(stale)}; run {reference.COMMAND}"
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{name}.schema.json" for name in reference.FILES}


def test_a_changed_sentence_makes_the_guide_stale_and_the_check_says_so(monkeypatch, capsys):
    write_reference.main(["--check"])
    assert capsys.readouterr().out == "up to date\n"
    monkeypatch.setattr(load_part("methods", "dpo", "description"), "SENTENCE", "Something else.")
    assert reference.stale_files() == [reference.GUIDE]
    before = reference.GUIDE.read_bytes()
    with pytest.raises(InputError, match=r"stale: config/README\.md; run python scripts/write_reference\.py"):
        write_reference.main(["--check"])
    assert reference.GUIDE.read_bytes() == before


def test_a_key_has_a_row_for_each_meaning():
    rows = re.findall(r"^\| `beta` \| (.*?) \| (.*?) \| (.*?) \|$", reference._tables()["hyperparameters"], re.M)
    said = {takers: (default, meaning) for default, takers, meaning in rows}
    assert len(said) == len(rows) == 5 and said["orpo"] == ("0.1", "Weight of the odds ratio, λ in its paper.")
    assert said["grpo"] == ("0", "Weight of the KL to the reference in the loss; at 0 there is none.")


def test_the_guide_has_every_table():
    named = [found[1] for found in reference.TABLE.findall(reference.GUIDE.read_text(encoding="utf-8"))]
    assert sorted(named) == sorted(reference._tables())


@pytest.mark.parametrize("name", reference.FILES)
def test_documents_say_the_same_as_the_schemas_by_which_configs_are_checked(name):
    def resolved(node, document):
        if isinstance(node, list):
            return [resolved(item, document) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            other, _, place = node["$ref"].partition("#")
            document = json.loads((SCHEMAS / other).read_text(encoding="utf-8")) if other else document
            target = document
            for part in place.strip("/").split("/") if place else ():
                target = target[part]
            return resolved(target, document)
        if short := re.match(r"Short for {(\w+):", node.get("anyOf", [{}])[0].get("description", "")):
            return {**resolved(node["anyOf"][1], document), "short": short[1]}
        return {key: resolved(value, document) for key, value in node.items() if key not in ("$schema", "$defs")}

    def plain(node):
        """Without the descriptions of whole documents, which say of the files that they are made."""
        if isinstance(node, dict):
            return {key: plain(value) for key, value in node.items() if not (key == "description" and "title" in node)}
        return [plain(item) for item in node] if isinstance(node, list) else node

    document = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert reference.COMMAND in document["description"]
    assert plain(resolved(document, document)) == plain(json.loads(json.dumps(load_schema(name))))


@pytest.mark.parametrize("room", ROOMS)
def test_every_part_has_a_whole_description(room):
    orders = {}
    assert part_names(room)
    for name in part_names(room):
        described = load_part(room, name, "description")
        assert {key for key in vars(described) if key.isupper()} >= {"ORDER", *ROOMS[room]}, name
        assert described.SENTENCE.endswith(".") and name in described.__doc__
        orders[described.ORDER] = name
    assert len(orders) == len(part_names(room))


def test_schemas_sweeps_cards_and_figures_have_the_methods_that_there_are():
    described = all_parts("methods", "description")
    tasks = load_schema("config")["properties"]["tasks"]["items"]
    assert set(METHODS) == set(branches(tasks)) - set(LOSSES) == set(STYLES) == set(described) == set(cards.METHODS)
    assert [*METHODS, *LOSSES] == list(branches(tasks))
    assert len(set(STYLES.values())) == len(METHODS)
    assert len({STYLES[name][0] for name in ("sft", "dpo", "ddp", "dpp", "dpr", "mix")}) == 6
    assert STYLES["dpr"] == (drawing.VERMILION, "triangle-down")
    for name, method in described.items():
        trained = {"control_of"} if method.HYPERPARAMETERS else set()
        assert set(branches(tasks)[name]["properties"]) == {"method", *method.HYPERPARAMETERS} | trained
        assert {key for rows in method.ROWS for key in (rows.share, rows.weight)} <= set(method.HYPERPARAMETERS)


def test_a_judges_service_is_what_its_description_sets_apart():
    openai = load_part("judge_kinds", "openai", "description")
    assert set(SERVICE_KEYS) == {*openai.SERVICE, *openai.LIMITS}


def test_descriptions_import_no_more_than_the_config_does():
    rooms = ", ".join(f"all_parts({room!r}, 'description')" for room in ROOMS)
    code = f"import sys\nfrom pipeline.jobs.parts import all_parts\n{rooms}\n"
    code += "print(sorted({name.split('.')[1] for name in sys.modules if name.startswith('pipeline.')}))\n"
    code += "assert not {'torch', 'transformers', 'pydantic', 'altair'} & set(sys.modules)"
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, check=True, cwd=ROOT / "scripts", capture_output=True, text=True).stdout
    assert set(json.loads(told.replace("'", '"'))) == {"config", "jobs", *ROOMS}


NEW_METHOD = '''"""What the method twin is called, takes and looks like."""

from pipeline.methods.dpr.description import CARD, HYPERPARAMETERS, ROWS

ORDER, SENTENCE, COLOR, MARKER = 99, "DPR once more.", "sky", "stroke"
'''
READERS = """
import yaml
from pipeline.config.reference import GUIDE, reference
from pipeline.config.schema import SCHEMAS
from pipeline.config.settings import METHODS, Settings
from pipeline.figures.styles import STYLES
from pipeline.publishing import cards

config = yaml.safe_load(open("../config/config.yaml"))
config["tasks"].append({"method": "twin", "g": [0.1, 0.2]})
settings = Settings.from_config(config)
assert [run.name for run in settings.runs][-2:] == ["twin-g0.1", "twin-g0.2"]
assert settings.policy_spec("fair-world", "W1M", "twin-g0.1")["reward_model"] == "fair-world"
assert METHODS[-1] == "twin" and STYLES["twin"] == ("#3795d2", "stroke") and "DPR" in cards.METHODS["twin"].CARD
made = reference()
assert "| `twin` | DPR once more. |" in made[GUIDE] and "mix, twin" in made[GUIDE]
assert '"twin": {' in made[SCHEMAS / "config.schema.json"]
"""


def test_a_method_is_its_folder(tmp_path):
    for folder in ("scripts", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "scripts/pipeline/methods/twin"
    folder.mkdir()
    (folder / "description.py").write_text(NEW_METHOD)
    subprocess.run([sys.executable, "-c", READERS], check=True, cwd=tmp_path / "scripts")
