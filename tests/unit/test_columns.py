"""The columns of tables that rules hand to each other have one owner."""

import ast
from pathlib import Path

import pytest

from pipeline.columns import evaluation, learning_curve, pair_scores, pairs, prompts, reference, responses, verdicts

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Tables that no rule makes: a user's own difficulties, benchmarks' data.
OWN_TABLES = {"compute_winrate"}


def literal_lists(tree: ast.AST) -> list[list[str]]:
    """The column lists that calls of read_parquet spell out."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and "read_parquet" in ast.unparse(node.func)]
    lists = [value for call in calls for value in call.args[1:] if isinstance(value, ast.List)]
    found = [[item.value for item in value.elts if isinstance(item, ast.Constant)] for value in lists]
    return [names for names in found if len(names) > 1]


def test_a_list_that_is_spelled_out_is_found():
    assert literal_lists(ast.parse('read_parquet(path, ["a", "b"])')) == [["a", "b"]]
    assert literal_lists(ast.parse('io.read_parquet(path, ["a", *NAMES])\nother(path, ["a", "b"])')) == []


def test_readers_take_their_columns_from_their_owner():
    found = {
        path.relative_to(SCRIPTS).as_posix()
        for path in SCRIPTS.rglob("*.py")
        if "benchmark" not in path.as_posix() and path.stem not in OWN_TABLES
        if literal_lists(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    ("required", "written"),
    [
        (pairs.PAIR_COLUMNS, pairs.SPLIT_COLUMNS),
        (pair_scores.PAIR_SCORES, pair_scores.SCORING_COLUMNS),
        (["row", "prompt_id", *reference.REFERENCE_LOGPS], reference.REFERENCE_COLUMNS),
        (responses.RESPONSE_TEXTS, responses.RESPONSE_COLUMNS),
        (["prompt_id", *evaluation.PAIR_LOGPS, *evaluation.RESPONSE_LOGPS], evaluation.EVALUATION_COLUMNS),
        ([*verdicts.REQUIRED_COLUMNS, *verdicts.DETAIL_COLUMNS], verdicts.VERDICT_COLUMNS),
        (verdicts.PART_DETAILS, [*verdicts.VERDICT_COLUMNS, *verdicts.PART_COLUMNS]),
        (verdicts.COMPARED_COLUMNS, verdicts.REQUIRED_COLUMNS),
        (["step", "metric", "value"], learning_curve.CURVE_COLUMNS),
        ([prompts.FURTHER, prompts.CATEGORY, prompts.REFERENCE], prompts.SET_COLUMNS),
    ],
)
def test_what_is_read_is_written(required, written):
    assert set(required) <= set(written) and len(set(written)) == len(written)
