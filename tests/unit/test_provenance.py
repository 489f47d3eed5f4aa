"""Fingerprints change with what a script computes, and with nothing else; records name what a result was made from."""

import ast
import hashlib
import shutil
import subprocess

import pytest
from fixtures_models import cpu_device
from fixtures_scripts import ENTRIES, SCRIPTS, fresh_modules, import_all

from pipeline import provenance
from pipeline.io import read_json
from pipeline.provenance import code_fingerprint, write_provenance


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
    folder = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "SCRIPTS", folder)
    yield folder
    monkeypatch.undo()
    clear_caches()


@pytest.fixture
def changed(tree, real):
    """Gives the entry scripts whose fingerprint changes when files' texts do; the files are then as before."""

    def changed(edits: dict) -> set[str]:
        texts = {file: (tree / file).read_text(encoding="utf-8") for file in edits}
        for file, edit in edits.items():
            (tree / file).write_text(edit(texts[file]), encoding="utf-8")
            assert (tree / file).read_text(encoding="utf-8") != texts[file], file
        found = {script for script, value in fingerprints().items() if value != real[script]}
        for file, text in texts.items():
            (tree / file).write_text(text, encoding="utf-8")
        return found

    return changed


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


@pytest.mark.parametrize(
    ("file", "old", "new", "some"),
    [
        ("pipeline/io.py", "0o644", "0o600", set(ENTRIES)),
        ("sail/objective.py", "0.25 *", "0.5 *", {"train_policy"}),
        ("pipeline/templates.py", '"Human: {prompt}', '"User: {prompt}', {"train_sft", "judge_responses", "score_bt"}),
        ("train_sft.py", "def main", "VALUE = 1\n\n\ndef main", {"train_sft"}),
    ],
)
def test_changed_code_changes_the_scripts_that_import_it(file, old, new, some, changed):
    found = changed({file: lambda text: text.replace(old, new)})
    assert found == {script for script in ENTRIES if file in files_of(script)} and found >= some


def test_a_new_import_brings_its_module(tree):
    assert "pipeline/world.py" not in files_of("compute_cost")
    script = tree / "compute_cost.py"
    script.write_text(script.read_text().replace("def main(", "from pipeline import world\n\n\ndef main(", 1))
    clear_caches()
    assert "pipeline/world.py" in files_of("compute_cost")


@pytest.mark.parametrize("script", ENTRIES)
def test_a_fingerprint_covers_all_that_the_script_imports(script):
    with fresh_modules() as imported:
        files = import_all(script, imported)
    assert f"{script}.py" in files and files <= files_of(script)


def test_who_depends_on_the_objective():
    assert {"sail/objective.py", "sail/trainer.py", "sail/config.py", "pipeline/rewards.py"} <= files_of("train_policy")
    for script in ("compute_winrate", "compute_cost", "plot_figures", "render_report", "prepare_data", "score_bt"):
        assert not {file for file in files_of(script) if file.startswith("sail/")}, script


# records


def test_a_record_names_what_a_result_was_made_from(tmp_path):
    (tmp_path / "data.parquet").write_bytes(b"rows")
    write_provenance(tmp_path / "p.json", {"name": "x"}, [tmp_path / "data.parquet"], cpu_device())
    record = read_json(tmp_path / "p.json")
    assert record["spec"] == {"name": "x"}
    assert record["inputs"] == {str(tmp_path / "data.parquet"): hashlib.sha256(b"rows").hexdigest()}
    assert record["device"] == {"name": "cpu", "type": "cpu", "dtype": "torch.float32"}
    assert set(record["packages"]) == set(provenance.PACKAGES) and record["packages"]["torch"]
    write_provenance(tmp_path / "p.json", {}, [])
    assert read_json(tmp_path / "p.json")["device"] is None


def test_the_commit_says_whether_the_code_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() is None

    def git(*arguments):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *settings, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-m", "one")
    clean = provenance.commit()
    assert len(clean) == 40
    (tmp_path / "a.py").write_text("2")
    assert provenance.commit() == f"{clean}-dirty"
