"""Fingerprints change with what a script computes, and with nothing else."""

import ast
import re
import shutil
from pathlib import Path

import pytest
from fixtures_scripts import ENTRIES, SCRIPTS, fresh_modules, import_all

from pipeline.jobs import provenance
from pipeline.jobs.provenance import code_fingerprint


@pytest.fixture(scope="module", autouse=True)
def until_written():
    """What is found out about a file is kept until it is written: all fingerprints are taken often."""
    patch = pytest.MonkeyPatch()
    for name, function in list(vars(provenance).items()):
        if list(getattr(function, "__annotations__", {}).values())[:1] == [Path] and hasattr(function, "cache_clear"):
            patch.setattr(provenance, name, kept_until_written(function.__wrapped__))
    yield
    patch.undo()
    clear_caches()


def kept_until_written(function):
    kept = {}

    def keeping(path):
        found = path.stat()
        key = path, found.st_mtime_ns, found.st_size
        if key not in kept:
            kept[key] = function(path)
        return kept[key]

    keeping.cache_clear = lambda: None  # a file that was written has another key
    return keeping


def clear_caches():
    for value in vars(provenance).values():
        getattr(value, "cache_clear", lambda: None)()


def fingerprints() -> dict[str, str]:
    clear_caches()
    return {script: code_fingerprint(f"{script}.py") for script in ENTRIES}


@pytest.fixture(scope="module")
def real():
    """The fingerprints of the scripts as they are."""
    return fingerprints()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of scripts/ that fingerprints are taken of."""
    yield from fingerprinted(copy_scripts(tmp_path), monkeypatch)


@pytest.fixture(scope="module")
def shared_copy(tmp_path_factory):
    """A copy of scripts/ that is left as it was found."""
    return copy_scripts(tmp_path_factory.mktemp("shared"))


def copy_scripts(folder: Path) -> Path:
    return shutil.copytree(SCRIPTS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))


def fingerprinted(folder: Path, monkeypatch):
    monkeypatch.setattr(provenance, "SCRIPTS", folder)
    yield folder
    monkeypatch.undo()
    clear_caches()


@pytest.fixture
def changed(shared_copy, real, monkeypatch):
    """Gives the entry scripts whose fingerprint changes when files' texts do; the files are then as before."""

    tree = shared_copy

    def changed(edits: dict) -> set[str]:
        texts = {file: (tree / file).read_text(encoding="utf-8") for file in edits}
        for file, edit in edits.items():
            (tree / file).write_text(edit(texts[file]), encoding="utf-8")
            assert (tree / file).read_text(encoding="utf-8") != texts[file], file
        try:
            return {script for script, value in fingerprints().items() if value != real[script]}
        finally:
            for file, text in texts.items():
                (tree / file).write_text(text, encoding="utf-8")

    for _ in fingerprinted(tree, monkeypatch):
        yield changed


def files_of(script: str) -> set[str]:
    files = provenance._imported_files(provenance.SCRIPTS / f"{script}.py")
    return {path.relative_to(provenance.SCRIPTS).as_posix() for path in files}


def test_a_copy_of_the_code_has_the_same_fingerprints(changed, real):
    assert changed({}) == set()
    assert len(set(real.values())) == len(real) and all(len(value) == 16 for value in real.values())


def other_formatting(text: str) -> str:
    return ast.unparse(ast.parse(text))  # no comments, other quotes, line breaks and blank lines


def with_comments(text: str) -> str:
    return "# first\n" + text.replace("\n\n", "\n\n# more\n\n").rstrip() + "  # last\n"


def other_docstrings(text: str) -> str:
    module = ast.parse(text)
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0].value.value = "Another text.\n\nLonger than before.\n"
    return ast.unparse(module)


@pytest.mark.parametrize("edit", [other_formatting, with_comments, other_docstrings])
def test_comments_docstrings_and_formatting_are_no_change(edit, changed):
    files = [path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.rglob("*.py") if "def " in path.read_text()]
    assert len(files) > 30 and changed(dict.fromkeys(files, edit)) == set()


def test_code_has_one_meaning_for_every_version_of_python(tmp_path):
    """Newer ones give a function fields that this one does not know; results go from one to the other all the same."""
    path = tmp_path / "module.py"
    path.write_text('def f(a, b=None):\n    return a or f"{b!r:>9}"\n')
    arguments = "arguments(args=[arg(arg='a'), arg(arg='b')], defaults=[Constant()])"
    form = "JoinedStr(values=[Constant(value='>9')])"
    text = f"FormattedValue(value=Name(id='b', ctx=Load()), conversion=114, format_spec={form})"
    value = f"BoolOp(op=Or(), values=[Name(id='a', ctx=Load()), JoinedStr(values=[{text}])])"
    function = f"FunctionDef(name='f', args={arguments}, body=[Return(value={value})])"
    assert provenance._meaning(path) == f"Module(body=[{function}])"


def test_texts_of_errors_and_of_printed_lines_are_no_change(changed):
    edits = {
        "pipeline/jobs/io.py": lambda text: text.replace("no column {", "there is no column {"),
        "pipeline/training/state.py": lambda text: text.replace('"step {', '"at step {').replace(
            "continues", "goes on"
        ),
    }
    assert changed(edits) == set()


def test_modules_that_say_watch_or_lock_are_no_part(changed, real):
    assert set(provenance.SILENT) == {
        *("config/errors", "config/secrets", "data/inspection", "jobs/console", "jobs/forecast", "jobs/ownership"),
        *("jobs/handover", "jobs/progress", "jobs/worker"),
        *("jobs/provenance", "jobs/records", "tracking", "training/progress", "training/tracking"),
    }
    files = [f"pipeline/{module}.py" for module in provenance.SILENT]
    assert changed(dict.fromkeys(files, lambda text: text + "\n\nADDED = 1\n")) == set()


def test_a_module_that_moves_is_no_change(tree, real):
    """It and its neighbour go into a room of their own; whoever imports them follows."""
    room = tree / "pipeline" / "room"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room."""\n')
    for module in ("models/templates", "metrics/length_control"):
        (tree / "pipeline" / f"{module}.py").rename(room / f"{Path(module).name}.py")
    moved = r"from pipeline\.(?:models|metrics)\.(templates|length_control) import"
    for path in tree.rglob("*.py"):
        path.write_text(re.sub(moved, r"from pipeline.room.\1 import", path.read_text(encoding="utf-8")))
    assert "pipeline/room/templates.py" in (fingerprints() and files_of("train_sft"))
    assert fingerprints() == real


@pytest.mark.parametrize(
    ("file", "old", "new", "some"),
    [
        ("pipeline/jobs/io.py", "0o666", "0o600", set(ENTRIES)),
        ("sail/objective.py", "0.25 *", "0.5 *", {"train_policy"}),
        (
            "pipeline/models/templates.py",
            ".capitalize()",
            ".upper()",
            {"train_sft", "judge_responses", "score_bt"},
        ),
        ("train_sft.py", "def main", "VALUE = 1\n\n\ndef main", {"train_sft"}),
        ("pipeline/columns/verdicts.py", '"judge_model", "request_key"', '"model", "key"', {"judge_responses"}),
    ],
)
def test_changed_code_changes_the_scripts_that_import_it(file, old, new, some, changed):
    found = changed({file: lambda text: text.replace(old, new)})
    assert found == {script for script in ENTRIES if file in files_of(script)} and found >= some


def test_a_new_import_brings_its_module(tree):
    assert "pipeline/data/world.py" not in files_of("compute_cost")
    script = tree / "compute_cost.py"
    script.write_text(script.read_text().replace("def main(", "from pipeline.data import world\n\n\ndef main(", 1))
    clear_caches()
    assert "pipeline/data/world.py" in files_of("compute_cost")


@pytest.mark.parametrize("script", ENTRIES)
def test_a_fingerprint_covers_just_what_the_script_imports(script, monkeypatch):
    without_silent = files_of(script)
    monkeypatch.setattr(provenance, "SILENT", ())
    with fresh_modules() as imported:
        files = import_all(script, imported)
    assert f"{script}.py" in files and files == files_of(script)
    assert without_silent <= files


# A room of parts, one that is edited and another, the edited module, a spec that names one, a script that loads it.
PARTS = [
    ("methods", "dpr", "ddp", "trainer", lambda name: {"method": name}, "train_policy"),
    ("sources", "pku", "webgpt", "adapter", lambda name: {"source": name}, "prepare_data"),
    ("reward_formats", "eurus", "plain", "text", lambda name: {"text_format": name}, "score_bt"),
    ("judge_kinds", "gold", "openai", "judge", lambda name: {"kind": name}, "judge_responses"),
    ("backends", "server", "vllm", "generate", lambda name: {"decoding": {"backend": name}}, "generate_responses"),
]


@pytest.mark.parametrize(("room", "edited", "other", "module", "spec", "script"), PARTS)
def test_a_fingerprint_holds_the_part_that_a_spec_names_and_no_other(room, edited, other, module, spec, script, tree):
    def fingerprints():
        clear_caches()
        specs = {"edited": [spec(edited)], "other": [spec(other)], "both": [spec(edited), spec(other)], "unnamed": []}
        return {name: code_fingerprint(f"{script}.py", *given) for name, given in specs.items()}

    before = fingerprints()
    add_line(tree / "pipeline" / room / edited / f"{module}.py")
    assert {name for name, value in fingerprints().items() if value != before[name]} == {"edited", "both", "unnamed"}


@pytest.mark.parametrize(("room", "edited", "other", "module", "spec", "script"), PARTS)
def test_what_a_part_is_called_is_no_part_of_what_it_computes(room, edited, other, module, spec, script, tree):
    before = code_fingerprint(f"{script}.py", spec(edited))
    add_line(tree / "pipeline" / room / edited / "description.py")
    clear_caches()
    assert code_fingerprint(f"{script}.py", spec(edited)) == before


def add_line(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n\nADDED = 1\n", encoding="utf-8")


def test_who_depends_on_the_objective():
    assert {"sail/objective.py", "sail/trainer.py", "sail/config.py", "pipeline/rewards/scorer.py"} <= files_of(
        "train_policy"
    )
    for script in ("compute_winrate", "compute_cost", "plot_figures", "render_report", "prepare_data", "score_bt"):
        assert not {file for file in files_of(script) if file.startswith("sail/")}, script


@pytest.mark.slow
@pytest.mark.parametrize("one_in", [4, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_a_change_of_any_module_changes_the_scripts_that_import_it_and_no_other(tree, real, one_in):
    users = {script: files_of(script) for script in ENTRIES}
    modules = [path.relative_to(tree).as_posix() for path in sorted(tree.rglob("*.py"))]
    assert len(modules) > 70
    for module in modules[::one_in]:
        text = (tree / module).read_text(encoding="utf-8")
        add_line(tree / module)
        found = {script for script, value in fingerprints().items() if value != real[script]}
        assert found == {script for script in ENTRIES if module in users[script]}, module
        (tree / module).write_text(text, encoding="utf-8")
