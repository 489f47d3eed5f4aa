"""TRL's and transformers' private names: one module uses them, and subclasses override just those that are named here.

What is private to the parents is read from the installed ones: so a name that goes is missed here, and one of the
plugin's own that a release takes for something else is found.
"""

import ast
import inspect
from pathlib import Path

import pytest
from transformers import PreTrainedConfig, PreTrainedModel
from trl import DPOTrainer, GRPOTrainer, KTOTrainer, RewardTrainer, RLOOTrainer, SFTTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.online_dpo import OnlineDPOTrainer
from trl.experimental.orpo import ORPOTrainer
from trl.generation.vllm_generation import VLLMGeneration

TRAINERS = (DPOTrainer, GRPOTrainer, KTOTrainer, RewardTrainer, RLOOTrainer, SFTTrainer)
TRAINERS += (CPOTrainer, OnlineDPOTrainer, ORPOTrainer, VLLMGeneration)
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
INTERNALS = "sail/internals.py"
MODULES = sorted(path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.rglob("*.py"))
OVERRIDDEN = {
    "pipeline/methods/kto/trainer.py": {"_prepare_dataset", "_precompute_ref_logps"},
    "pipeline/methods/online_dpo/trainer.py": {"_forward", "_generate"},
    "pipeline/training/online.py": {"_generate_single_turn", "_get_train_sampler", "_tokenize_prompts"},
    "sail/engine.py": {"_init_vllm", "_iter_named_params"},
    "sail/checkpoint.py": {"_get_train_sampler", "_save_checkpoint", "_load_rng_state"},
    "sail/reference.py": {"_prepare_dataset", "_precompute_ref_logps"},
    "sail/trainer.py": {"_tag_names", "_name"},
    "pipeline/training/reference.py": {"_precompute_ref_logps"},
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.fixture(scope="module")
def parents() -> set[str]:
    """Private names of the parents' classes: methods, class attributes and attributes of `self`."""
    names = set()
    classes = {cls for trainer in TRAINERS for cls in trainer.mro()} - {object}
    for cls in classes:
        tree = ast.parse(inspect.getsource(cls))
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and of(node.value) == "self"}
        names |= defined(tree.body[0])
    return set(filter(is_private, names))


def of(node: ast.AST) -> str:
    return getattr(node, "id", "")


def defined(cls: ast.ClassDef) -> set[str]:
    """What a class body gives names to."""
    names = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
    for node in cls.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= set(map(of, targets))
    return names


def used(tree: ast.AST, names: set[str]) -> set[str]:
    """Those of the names that code reads, sets, calls or imports, or has as a text; in an override, but for its own."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        inside = names - {node.name} if isinstance(node, ast.FunctionDef) else names
        found |= used(node, inside)
        if isinstance(node, ast.Attribute):
            found |= {node.attr} & names
        elif isinstance(node, ast.Constant):
            found |= {node.value} & names if isinstance(node.value, str) else set()
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("trl", "transformers"):
            found |= set(filter(is_private, [alias.name for alias in node.names] + node.module.split(".")))
    return found


def tree_of(module: str) -> ast.Module:
    return ast.parse((SCRIPTS / module).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("trainer._metrics", {"_metrics"}),
        ("self.a._metrics['train'] = trainer.model", {"_metrics"}),
        ("getattr(trainer, '_metrics', None)", {"_metrics"}),
        ("from trl.trainer.utils import _pad", {"_pad"}),
        ("from transformers._hidden import name", {"_hidden"}),
        ("class A:\n    def _save(self):\n        super()._save()", set()),
        ("class A:\n    def _save(self):\n        self._metrics", {"_metrics"}),
        ("class A:\n    def save(self):\n        super()._save()", {"_save"}),
        ("self._own, metrics, '_metrics.json'", set()),
    ],
)
def test_uses_are_read_from_code(code, found):
    assert used(ast.parse(code), {"_metrics", "_save"}) == found


def test_one_module_uses_the_parents_private_names(parents):
    wrong = {module: used(tree_of(module), parents) for module in MODULES if module != INTERNALS}
    assert not {module: names for module, names in wrong.items() if names}, f"these belong into {INTERNALS}"


def test_all_that_it_uses_is_there(parents):
    names = {node.attr for node in ast.walk(tree_of(INTERNALS)) if isinstance(node, ast.Attribute)}
    models = {*dir(PreTrainedModel), *dir(PreTrainedConfig)}
    assert set(filter(is_private, names)) <= parents | models and "_metrics" in names


def test_classes_override_no_other_private_name_of_the_parents(parents):
    found = {}
    for module in MODULES:
        classes = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.ClassDef)]
        if names := set().union(*map(defined, classes)) & parents:
            found[module] = names
    assert found == OVERRIDDEN
