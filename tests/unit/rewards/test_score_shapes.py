"""score_bt on tables of every shape and source that datasets are prepared from; rows without a pair have no score."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_models import cpu_device, llama_tokenizer, save_headed

import score_bt
from pipeline.jobs.io import InputError
from pipeline.rewards.pair_tables import pairs_of, read_split
from pipeline.rewards.scorer import RewardModel

CASES = Path(__file__).resolve().parents[2] / "data" / "datasets"
TIES = {"arena": 4, "helpsteer3": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a tiny reward model."""
    folder = tmp_path_factory.mktemp("reward") / "model"
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    return folder


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def score(model, dataset, output, *arguments):
    given = ["--dataset", str(dataset), "--score_model_id", str(model), "--output", str(output), "--split", "train"]
    score_bt.main([*given, "--device", "cpu", "--threads", "1", *arguments])
    return pq.read_table(output / "train.parquet")


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir() if path.name != "tool_turns"))
def test_the_pairs_of_each_shape(case):
    table = read_split(str(CASES / case), "train")
    pairs, _ = pairs_of(table, case)
    assert len(pairs) == 16 - TIES.get(case, 0)
    for pair in pairs.itertuples():
        chosen, rejected = (v if isinstance(v, str) else v[0]["content"] for v in (pair.chosen, pair.rejected))
        assert chosen.strip() == f"A good answer, number {pair.Index}."
        assert rejected.strip() == f"A poor answer, number {pair.Index}."


def test_a_table_without_a_pair_is_refused():
    table = read_split(str(CASES / "tool_turns"), "train")
    with pytest.raises(InputError, match=r"^t: no row has a pair to score; .*malformed 16 \(tool calls 16\)"):
        pairs_of(table, "t")


def test_rows_without_a_pair_have_null_and_all_else_stays(model, tmp_path, capsys):
    rows = [
        {"chosen": [user(f"Why {i}?"), said("So.")], "rejected": [user(f"Why {i if i != 2 else 9}?"), said("No.")]}
        for i in range(5)
    ]
    rows[4]["rejected"] += [user("And?")]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row | {"id": i}) + "\n" for i, row in enumerate(rows)))
    scored = score(model, path, tmp_path / "bt")
    assert (
        "train: 2 rows have no pair, and null for a score: prompts_differ 1, malformed 1 (" in capsys.readouterr().out
    )
    assert scored.drop_columns(["chosen_score", "rejected_score", "bt_prob"]).to_pylist() == [
        row | {"id": i} for i, row in enumerate(rows)
    ]
    prompts = [[user(f"Why {i}?")] for i in (0, 1, 3)]
    expected = RewardModel(str(model), {}, cpu_device(1)).score(prompts, ["So."] * 3)
    found = scored["chosen_score"].to_pylist()
    assert [found[i] for i in (0, 1, 3)] == pytest.approx(expected, abs=1e-5)
    assert [i for i, row in enumerate(scored["bt_prob"].to_pylist()) if row is None] == [2, 4]


def test_columns_of_other_names(model, tmp_path, capsys):
    texts = {"instruction": ["Why?", "How?"], "better": ["So.", "Thus."], "worse": ["No.", "Yes."]}
    pq.write_table(pa.table(texts), tmp_path / "rows.parquet")
    named = ["--columns", "prompt=instruction", "chosen=better", "rejected=worse"]
    scored = score(model, tmp_path / "rows.parquet", tmp_path / "bt", *named)
    expected = RewardModel(str(model), {}, cpu_device(1)).score(texts["instruction"], texts["better"])
    assert scored["chosen_score"].to_pylist() == pytest.approx(expected, abs=1e-5)
    with pytest.raises(SystemExit):
        score(model, tmp_path / "rows.parquet", tmp_path / "bt", "--columns", "better")
    assert "must be one of prompt, chosen, rejected, system, an equals sign and a column" in capsys.readouterr().err


def test_a_null_of_a_published_source_is_named():
    table = read_split(str(CASES / "helpsteer3"), "train")
    table = table.set_column(table.column_names.index("response1"), "response1", pa.array([None] * 16, pa.string()))
    with pytest.raises(InputError, match=r"^t: column 'response1': row 0 .* is None; it must be there in every row"):
        pairs_of(table, "t")
