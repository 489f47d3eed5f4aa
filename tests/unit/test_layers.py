"""Who may import whom, read from the syntax trees: imports inside functions count too."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MODULES = sorted(SCRIPTS.rglob("*.py"))
ENTRIES = sorted(SCRIPTS.glob("*.py"))
LINES = 300

# The rooms of scripts/pipeline, floor by floor, and the rooms that each may import from.
MAY_IMPORT = {
    "columns": "",
    "jobs": "columns",
    "tracking": "jobs",
    "metrics": "columns jobs",
    "config": "columns jobs",
    "models": "columns jobs config",
    "results": "columns jobs metrics",
    "data": "columns jobs models",
    "figures": "columns jobs results",
    "terminal": "jobs",
    "publishing": "columns jobs config results",
    "rewards": "columns jobs models data metrics",
    "training": "columns jobs tracking models rewards sail",
    "generation": "columns jobs models rewards sail",
    "judges": "columns jobs config models data rewards results metrics",
    "report": "columns jobs metrics results figures judges",
}
# Modules of the pipeline that train with TRL's trainers.
MAY_IMPORT_TRL = {f"pipeline.training.{name}" for name in ("sft", "reward", "policy", "reference")}
# Entry scripts whose whole work needs no neural network.
WITHOUT_TORCH = {
    *("compare_scores", "compute_cost", "compute_winrate", "judge_cost", "measure_calibration", "plot_figures"),
    *("prepare_data", "publish_results", "render_report", "show_winrates", "track_winrates", "clean_state"),
}
# What such a script may still reach, as it is imported in the function that needs it (or for type checkers alone): hub
# data sets are read with their library, tokens are counted with the tokenizers of pretrained models.
ON_DEMAND = {
    ("datasets", "pipeline.data.loading"),
    ("transformers", "pipeline.models.tokenization"),
    ("transformers", "pipeline.models.templates"),
}
HEAVY = {"torch", "transformers", "datasets", "trl", "peft", "accelerate", "sail"}


def name_of(path: Path) -> str:
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, module: str, is_package: bool = False) -> set[str]:
    """Dotted names that a module imports, its `from a import b` as both a and a.b, and import_module of a text."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            found |= {text.value for text in node.args if isinstance(text, ast.Constant)}
    return found


def imports_of(path: Path) -> set[str]:
    return imports(ast.parse(path.read_text(encoding="utf-8")), name_of(path), path.name == "__init__.py")


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def of_package(package: str) -> list[Path]:
    return [path for path in MODULES if name_of(path).split(".")[0] == package]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import a.b as c, d", {"a.b", "d"}),
        ("from a.b import c", {"a.b", "a.b.c"}),
        ("def f():\n    from trl import DPOTrainer", {"trl", "trl.DPOTrainer"}),
        ("from . import x", {"pipeline.data", "pipeline.data.x"}),
        ("from ..io import run", {"pipeline.io", "pipeline.io.run"}),
        ("import importlib\nimportlib.import_module('snakemake')", {"importlib", "snakemake"}),
        ("x = 'import snakemake'", set()),
    ],
)
def test_imports_are_read_from_code(code, found):
    assert imports(ast.parse(code), "pipeline.data.loading") == found


def test_there_is_something_to_look_at():
    assert {"prepare_data", "train_policy"} <= {path.stem for path in ENTRIES}
    assert len(of_package("sail")) >= 5 and len(of_package("pipeline")) >= 20


@pytest.mark.parametrize("path", of_package("sail"), ids=name_of)
def test_sail_imports_neither_the_pipeline_nor_snakemake(path):
    entries = {entry.stem for entry in ENTRIES}
    assert not roots(imports_of(path)) & ({"pipeline", "snakemake"} | entries)


@pytest.mark.parametrize("path", of_package("pipeline"), ids=name_of)
def test_the_pipeline_imports_no_entry_script_nor_snakemake(path):
    found = roots(imports_of(path))
    assert not found & ({"snakemake"} | {entry.stem for entry in ENTRIES})
    assert "trl" not in found or name_of(path) in MAY_IMPORT_TRL, f"{name_of(path)} imports trl"


def room_of(module: str) -> str:
    """The room of a module of the pipeline; of others the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == "pipeline" and len(parts) > 1 else parts[0]


def test_rooms_import_from_the_rooms_below_them():
    wrong = []
    for path in of_package("pipeline"):
        own = room_of(name_of(path))
        for room in sorted({room_of(name) for name in imports_of(path)} & ({"sail"} | set(MAY_IMPORT))):
            if room not in (own, *MAY_IMPORT[own].split()):
                wrong.append(f"{name_of(path)}: {own} must not import from {room}")
    assert not wrong, "\n".join(wrong)


def test_the_table_of_rooms_has_no_circle_and_no_room_that_is_gone():
    assert set(MAY_IMPORT) == {room_of(name_of(path)) for path in of_package("pipeline")}
    below: set[str] = {"sail"}
    for room, others in MAY_IMPORT.items():
        assert set(others.split()) <= below, f"{room} imports from a room that stands after it"
        below.add(room)


@pytest.mark.parametrize("path", ENTRIES, ids=name_of)
def test_entry_scripts_import_neither_each_other_nor_snakemake(path):
    assert not roots(imports_of(path)) & ({"snakemake"} | {entry.stem for entry in ENTRIES})


@pytest.mark.parametrize("script", sorted(WITHOUT_TORCH))
def test_scripts_that_need_no_torch_import_none(script):
    """At module level and inside functions, directly or through the pipeline."""
    paths = {name_of(path): path for path in MODULES}
    seen, waiting = set(), [script]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in imports_of(paths[module]):
            parts = name.split(".")
            waiting += [known for known in (".".join(parts[: i + 1]) for i in range(len(parts))) if known in paths]
            if (parts[0], module) not in ON_DEMAND:
                assert parts[0] not in HEAVY, f"{script} imports {parts[0]} through {module}"


def test_scripts_is_no_package_and_nobody_imports_it_as_one():
    assert not (SCRIPTS / "__init__.py").exists()
    tests = Path(__file__).resolve().parents[1].rglob("*.py")
    for path in [*MODULES, *tests]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert "scripts" not in roots(imports(tree, path.stem)), path


def test_no_entry_script_is_named_after_a_library():
    """scripts/ comes first on its scripts' path, so such a name would hide the library from all of them."""
    libraries = set(packages_distributions()) | sys.stdlib_module_names
    assert {"trl", "datasets", "json"} <= libraries
    assert not {path.stem for path in ENTRIES} & libraries


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES, f"{path.relative_to(SCRIPTS.parent)} has {lines} lines: split it"
