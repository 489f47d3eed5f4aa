"""Who may import whom, read from the syntax trees: imports inside functions count too."""

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from itertools import accumulate
from pathlib import Path

import pytest

import warm_up

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
    # Parts: what they are called and take.
    "methods": "config",
    "sources": "config",
    "judge_kinds": "config",
    "reward_formats": "",
    "backends": "",
    "models": "columns jobs config",
    "results": "columns jobs metrics",
    "data": "columns jobs models",
    "exchange": "columns jobs data models results metrics",
    "figures": "columns jobs results",
    "terminal": "jobs",
    "publishing": "columns jobs config results",
    "rewards": "columns jobs models data metrics",
    "training": "columns jobs config tracking models rewards sail",
    "generation": "columns jobs models rewards sail",
    "judges": "columns jobs config models data rewards results metrics",
    "report": "columns jobs metrics results exchange figures judges",
    "plan": "columns jobs metrics config publishing",
    # Parts: what they do.
    "sources.adapter": "columns jobs data",
    "reward_formats.text": "jobs models rewards",
    "methods.trainer": "training sail",
    "judge_kinds.judge": "jobs config models data rewards judges",
    "backends.generate": "jobs models rewards generation sail",
}
PARTS = {"methods": "trainer", "sources": "adapter", "reward_formats": "text", "judge_kinds": "judge"}
PARTS |= {"backends": "generate"}
# Modules of the pipeline that train with TRL's trainers, beside those of methods.
MAY_IMPORT_TRL = {f"pipeline.training.{name}" for name in ("sft", "reward", "reference", "unpaired", "rounds")}
# Entry scripts whose whole work needs no neural network.
WITHOUT_TORCH = {
    *("compare_scores", "compute_cost", "compute_winrate", "judge_cost", "measure_calibration", "plot_figures"),
    *("read_responses", "export_responses"),
    *("prepare_data", "publish_results", "render_report", "show_winrates", "track_winrates", "clean_state"),
    *("write_reference", "compare_costs", "compute_alignment_tax", "write_readme"),
}
# What such a script may still reach, as it is imported in the function that needs it (or for type checkers alone): hub
# data sets are read with their library, tokens are counted with the tokenizers of pretrained models.
ON_DEMAND = {
    ("datasets", "pipeline.data.loading"),
    ("transformers", "pipeline.models.tokenization"),
    ("transformers", "pipeline.models.manners"),
    ("transformers", "pipeline.models.template_check"),
    ("transformers", "pipeline.models.templates"),
}
# Who only measures the others: scripts/benchmark.py imports them by name, and benchmark_gpu.py one of them.
MEASURES = "benchmarks"
BENCHMARKING = ("benchmark", "benchmark_gpu")
STATEMENTS = (ast.Import, ast.ImportFrom)
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


@cache
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
    assert {"benchmarks.trainers", "benchmarks.data"} <= set(map(name_of, of_package(MEASURES)))


def wrong_imports(package: str, forbidden: set[str]) -> list[str]:
    """A line for each module of a package that imports what it must not; an entry script is a package of its own."""
    found = {name_of(path): roots(imports_of(path)) & forbidden for path in of_package(package)}
    return [f"{module}: {package} must not import from {name}" for module in found for name in sorted(found[module])]


def test_packages_import_neither_snakemake_nor_what_is_above_them():
    entries = {entry.stem for entry in ENTRIES}
    wrong = wrong_imports("sail", {"pipeline", "snakemake", MEASURES} | entries)
    wrong += wrong_imports("pipeline", {"snakemake", MEASURES} | entries)
    wrong += wrong_imports(MEASURES, {"snakemake"} | entries)
    for entry in sorted(entries):
        wrong += wrong_imports(entry, {"snakemake"} | (set() if entry in BENCHMARKING else {MEASURES}) | entries)
    assert not wrong, "\n".join(wrong)


def test_few_modules_of_the_pipeline_import_trl():
    found = {name_of(path) for path in of_package("pipeline") if "trl" in roots(imports_of(path))}
    found = {module for module in found if room_of(module) != "methods.trainer"}
    wrong = [f"{module}: {room_of(module)} must not import from trl" for module in sorted(found - MAY_IMPORT_TRL)]
    assert found and not wrong, "\n".join(wrong)


def room_of(module: str) -> str:
    """The room of a module of the pipeline, with the module's name where it does a part's work; else the package."""
    parts = module.split(".")
    if parts[0] == "pipeline" and len(parts) == 4 and PARTS.get(parts[1]) == parts[3]:
        return f"{parts[1]}.{parts[3]}"
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


def reached(script: str, imported: Callable[[Path], set[str]]) -> Iterator[tuple[str, set[str]]]:
    """Each of our modules that a script imports, directly or not, and what it imports itself."""
    paths = {name_of(path): path for path in MODULES}
    seen, waiting = set(), [script]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            yield module, (names := imported(paths[module]))
            stems = {stem for name in names for stem in accumulate(name.split("."), "{}.{}".format)}
            waiting += stems & paths.keys()


def test_scripts_that_need_no_torch_import_none():
    """At module level and inside functions, directly or through the pipeline."""
    wrong = {
        f"{script} imports {heavy} through {module}"
        for script in WITHOUT_TORCH
        for module, names in reached(script, imports_of)
        for heavy in roots(names) & HEAVY
        if (heavy, module) not in ON_DEMAND
    }
    assert not wrong, "\n".join(sorted(wrong))


def imports_at_start(path: Path) -> set[str]:
    """What a module imports as soon as it is imported itself."""
    body = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, STATEMENTS)]
    return imports(ast.Module(body, []), name_of(path), path.name == "__init__.py")


def test_scripts_that_hand_their_job_over_import_no_neural_network_before():
    """The run's worker has imported it for them, and reads the code of all of them (`pipeline.jobs.handover`)."""
    handing = {path.stem for path in ENTRIES if "run(main, warm=True" in path.read_text(encoding="utf-8")}
    assert handing == set(warm_up.SCRIPTS) and len(handing) > 5
    for script in sorted(handing):
        for module, names in reached(script, imports_at_start):
            assert not roots(names) & HEAVY, f"{script} imports {roots(names) & HEAVY} at its start through {module}"


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
    # sail is a library itself, once it is installed.
    assert not {"pipeline", MEASURES} & libraries


def test_modules_stay_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    wrong = [f"{path.relative_to(SCRIPTS.parent)} has {n} lines: split it" for path, n in lengths.items() if n > LINES]
    assert not wrong, "\n".join(wrong)
