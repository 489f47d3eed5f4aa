"""score_bt on tables of any kind: three columns more, nothing else different; what it refuses, and how it says so."""

import gzip
import json
from datetime import datetime
from decimal import Decimal

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from fixtures_models import cpu_device, llama_tokenizer, save_headed
from safetensors.torch import load_file, save_file

import score_bt
from pipeline.jobs.io import InputError
from pipeline.jobs.parts import part_names
from pipeline.rewards.pair_tables import read_split, score_columns, split_names
from pipeline.rewards.scorer import RewardModel

PROMPTS = ["Why?", "What is red?", "And a cat?", "Which colour has a lemon, please?", "[INST]"]
CHOSEN = ["So.", "It is yellow. " * 5, "", "A lemon is yellow.", "Thank you for asking! <b>"]
REJECTED = ["Thank you.", "No.", "The big cat sat on a tree.", "Red.", "small and sour"]
NEW = ["chosen_score", "rejected_score", "bt_prob"]
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a tiny reward model."""
    folder = tmp_path_factory.mktemp("reward") / "model"
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    return folder


def pairs(**columns) -> pa.Table:
    return pa.table({"prompt": PROMPTS, "chosen": CHOSEN, "rejected": REJECTED, **columns})


def messages(texts, role="assistant") -> pa.Array:
    return pa.array([[{"role": role, "content": text}] for text in texts], MESSAGES)


def save(table: pa.Table, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def save_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def score(model, dataset, output, *arguments, split="train"):
    """What score_bt writes for a split."""
    which = ["--split", split] if split else ["--process_all_splits"]
    given = ["--dataset", str(dataset), "--score_model_id", str(model), "--output", str(output), "--device", "cpu"]
    score_bt.main([*given, *which, "--threads", "1", *arguments])
    return pq.read_table(output / f"{split}.parquet") if split else None


def expected(model, responses, **entry) -> list[float]:
    return RewardModel(str(model), entry, cpu_device(1)).score(PROMPTS, responses)


def test_three_columns_are_added_and_all_others_keep_type_order_and_values(model, tmp_path):
    extra = {
        "note": pa.array(["a", "b", None, "d", "e"]).dictionary_encode(),
        "count": pa.array([1, None, 3, 4, 5], pa.int32()),
        "price": pa.array([Decimal("1.50"), None, *[Decimal("2.25")] * 3], pa.decimal128(8, 2)),
        "time": pa.array([datetime(2024, 1, day + 1) for day in range(5)], pa.timestamp("ms", "UTC")),
        "scores": pa.array([[1.0], [], None, [2.0, 3.0], [4.0]], pa.list_(pa.float32())),
        "info": pa.array([{"a": 1, "b": {"c": "x"}}] * 5),
        "flag": pa.array([True, None, False, True, True]),
        "raw": pa.array([b"\x00\x01"] * 5),
        "prompt_id": pa.array(list("edcba"), pa.large_string()),
    }
    table = pairs(**extra).select(["note", "prompt", *list(extra)[1:], "chosen", "rejected"])
    scored = score(model, save(table, tmp_path / "mine.parquet"), tmp_path / "bt")
    assert scored.column_names == [*table.column_names, *NEW]
    assert scored.select(table.column_names).equals(table) and scored.schema.types[:-3] == table.schema.types
    assert scored.schema.types[-3:] == [pa.float64()] * 3
    chosen, rejected, probability = (scored[name].to_numpy() for name in NEW)
    assert chosen == pytest.approx(expected(model, CHOSEN), abs=1e-5)
    assert rejected == pytest.approx(expected(model, REJECTED), abs=1e-5)
    assert np.allclose(probability, 1 / (1 + np.exp(rejected - chosen)), rtol=0, atol=1e-15)
    assert len(set(probability)) == 5


def test_message_lists_stay_and_score_like_their_texts(model, tmp_path):
    table = pa.table(
        {"prompt": messages(PROMPTS, "user"), "chosen": messages(CHOSEN), "rejected": messages(REJECTED), "n": range(5)}
    )
    scored = score(model, save(table, tmp_path / "mine/train.parquet").parent, tmp_path / "bt")
    assert scored.select(table.column_names).equals(table)
    plain = score(model, save(pairs(), tmp_path / "plain.parquet"), tmp_path / "plain")
    assert scored.select(NEW).equals(plain.select(NEW))


def test_a_cost_model_is_reversed_with_the_switch_and_with_the_spec(model, tmp_path):
    path = save(pairs(), tmp_path / "mine.parquet")
    spec = tmp_path / "cost.yaml"
    spec.write_text(yaml.safe_dump({"name": "cost", "path": "x", "reverse": True}))
    as_it_is = score(model, path, tmp_path / "one")
    for number, arguments in enumerate((["--reverse"], ["--spec", str(spec)])):
        turned = score(model, path, tmp_path / f"turned{number}", *arguments)
        for name in NEW[:2]:
            assert turned[name].to_numpy() == pytest.approx(-as_it_is[name].to_numpy(), abs=0)
        assert turned["bt_prob"].to_numpy() == pytest.approx(1 - as_it_is["bt_prob"].to_numpy(), abs=1e-12)


def test_a_checkpoint_that_says_it_is_a_cost_model_is_reversed_unless_told_otherwise(model, tmp_path):
    save_headed(tmp_path / "cost", "LlamaForScore", "llama", llama_tokenizer(), bias=True, score_type="cost")
    path = save(pairs(), tmp_path / "mine.parquet")
    reward = score(model, path, tmp_path / "reward")
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump({"name": "cost", "path": "x", "reverse": None}))
    for number, arguments in enumerate(([], ["--reverse"], ["--spec", str(spec)])):
        turned = score(tmp_path / "cost", path, tmp_path / f"cost{number}", *arguments)
        for name in NEW[:2]:
            assert turned[name].to_numpy() == pytest.approx(-reward[name].to_numpy(), abs=0)
    told = score(tmp_path / "cost", path, tmp_path / "told", "--no-reverse")
    assert told.select(NEW).equals(reward.select(NEW))


def test_the_text_format_can_be_given(model, tmp_path):
    path = save(pairs(), tmp_path / "mine.parquet")
    scored = score(model, path, tmp_path / "plain", "--text_format", "plain")
    assert (
        scored["chosen_score"].to_numpy()
        == pytest.approx(expected(model, CHOSEN, text_format="plain"), abs=1e-5)
        != pytest.approx(expected(model, CHOSEN), abs=1e-5)
    )


def test_the_formats_are_those_of_the_schema():
    from pipeline.config.schema import load_schema

    [entry] = load_schema("reward_models")["patternProperties"].values()
    checkpoint = entry["allOf"][0]["then"]["properties"]
    assert part_names("reward_formats") == checkpoint["text_format"]["enum"]


def test_suffixes_hold_several_reward_models_side_by_side(model, tmp_path):
    first = score(model, save(pairs(), tmp_path / "mine.parquet"), tmp_path / "one", "--suffix", "rm")
    second = score(model, tmp_path / "one", tmp_path / "two", "--suffix", "cost", "--reverse")
    assert second.column_names == ["prompt", "chosen", "rejected", *score_columns("rm"), *score_columns("cost")]
    assert score_columns("rm") == ["chosen_score_rm", "rejected_score_rm", "bt_prob_rm"]
    assert second.select(first.column_names).equals(first)
    third = score(model, tmp_path / "two", tmp_path / "two")  # in place, without a suffix
    assert third.column_names == [*second.column_names, *NEW]
    assert third["chosen_score"].to_pylist() == first["chosen_score_rm"].to_pylist()


def test_columns_of_the_same_name_are_not_overwritten(model, tmp_path):
    score(model, save(pairs(), tmp_path / "mine.parquet"), tmp_path / "one", "--suffix", "rm")
    before = (tmp_path / "one/train.parquet").read_bytes()
    with pytest.raises(InputError, match=r"there is a column 'chosen_score_rm' already; give another --suffix"):
        score(model, tmp_path / "one", tmp_path / "one", "--suffix", "rm")
    assert (tmp_path / "one/train.parquet").read_bytes() == before


def test_every_split_of_a_folder_is_scored_in_any_batch(model, tmp_path):
    save(pairs(), tmp_path / "data/train-00000-of-00002.parquet")
    save(pairs().slice(0, 2), tmp_path / "data/train-00001-of-00002.parquet")
    save_lines(tmp_path / "data/test.jsonl.gz", pairs().to_pylist())
    (tmp_path / "data/card.json").write_text("{}")
    for size in (1, 4):
        output = tmp_path / f"bt{size}"
        score(model, tmp_path / "data", output, "--per_device_evalreward_batch_size", str(size), split=None)
        assert sorted(path.name for path in output.iterdir()) == [
            *("test.parquet", "test.provenance.json", "train.parquet", "train.provenance.json")
        ]
    one, four = (pq.read_table(tmp_path / f"bt{size}/train.parquet") for size in (1, 4))
    assert len(one) == 7 and one["chosen_score"].to_numpy() == pytest.approx(four["chosen_score"].to_numpy(), abs=1e-5)
    assert one["prompt"].to_pylist() == PROMPTS + PROMPTS[:2]


# where pairs come from


def saved(folder):
    datasets.DatasetDict({"train": datasets.Dataset(pairs()), "test": datasets.Dataset(pairs().slice(1))}).save_to_disk(
        folder
    )


SOURCES = {
    "prepared folder": (
        lambda at: [save(pairs(), at / f"{name}.parquet") for name in ("train", "selection", "eval")],
        ["eval", "selection", "train"],
    ),
    "named by folder": (lambda at: save(pairs(), at / "test/part.parquet"), ["test"]),
    "several folders": (
        lambda at: [
            save_lines(at / f"{name}/{split}.jsonl", pairs().to_pylist())
            for name in ("a", "b")
            for split in ("train", "test")
        ],
        ["test", "train"],
    ),
    "no split named": (lambda at: save_lines(at / "some-600.jsonl.gz", pairs().to_pylist()), ["train"]),
    "hidden files": (lambda at: [save(pairs(), at / "train.parquet"), save(pairs(), at / ".x/b.parquet")], ["train"]),
    "saved": (saved, ["train", "test"]),
    "one saved split": (lambda at: datasets.Dataset(pairs()).save_to_disk(at), ["train"]),
}


@pytest.mark.parametrize("source", SOURCES)
def test_splits_of_a_folder(source, tmp_path):
    make, names = SOURCES[source]
    make(tmp_path / "data")
    assert split_names(str(tmp_path / "data")) == names
    for name in names:
        table = read_split(str(tmp_path / "data"), name)
        prompts = PROMPTS * 2 if source == "several folders" else PROMPTS
        assert table["prompt"].to_pylist() == (prompts[1:] if (source, name) == ("saved", "test") else prompts)
    with pytest.raises(
        InputError, match=rf"no split 'other'.* {', '.join(names) if source != 'no split named' else ''}"
    ):
        read_split(str(tmp_path / "data"), "other")


@pytest.mark.parametrize(
    ("name", "split"), [("eval.parquet", "eval"), ("test-00000-of-00001.parquet", "test"), ("pairs.parquet", "train")]
)
def test_a_file_is_the_split_that_it_is_named_after(name, split, tmp_path):
    path = str(save(pairs(), tmp_path / name))
    assert split_names(path) == [split] and read_split(path, split).equals(pairs())
    with pytest.raises(InputError, match=rf"{name}: there is no split 'other'; there is {split}$"):
        read_split(path, "other")


def test_columns_that_only_later_lines_have_are_kept(tmp_path):
    rows = pairs().to_pylist()
    rows[3]["score"], rows[4]["date"] = 1.5, "2024-01-01"
    table = read_split(str(save_lines(tmp_path / "rows.jsonl", rows)), "train")
    assert table["score"].to_pylist() == [None, None, None, 1.5, None]
    assert table["date"].type == pa.string() and table["date"].to_pylist()[-1] == "2024-01-01"


def test_shards_whose_columns_differ_are_joined_or_refused(tmp_path):
    save(pairs(n=pa.array(range(5), pa.int32())), tmp_path / "train-0-of-2.parquet")
    save(pairs(n=pa.array(range(5), pa.int64()), more=["x"] * 5), tmp_path / "train-1-of-2.parquet")
    table = read_split(str(tmp_path), "train")
    assert table["n"].type == pa.int64() and table["more"].to_pylist() == [None] * 5 + ["x"] * 5
    save(pairs(n=["x"] * 5), tmp_path / "train-2-of-2.parquet")
    with pytest.raises(InputError, match=r"columns of these files are not of one type: .*train-2-of-2"):
        read_split(str(tmp_path), "train")


def test_a_hub_id_is_loaded_from_the_hub_once_for_all_its_splits(model, monkeypatch, tmp_path):
    asked = []

    def load_dataset(path, name, split, revision):
        asked.append((path, name, split, revision))
        one = datasets.Dataset(pairs(n=range(5)))
        return datasets.DatasetDict({"train_prefs": one, "test_prefs": one})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    which = ["--config_name", "comparisons", "--revision", "v1"]
    score(model, "owner/name", tmp_path, *which, split=None)
    assert asked == [("owner/name", "comparisons", None, "v1")]
    for split in ("train_prefs", "test_prefs"):
        assert pq.read_table(tmp_path / f"{split}.parquet").column_names == ["prompt", "chosen", "rejected", "n", *NEW]
    with pytest.raises(InputError, match="owner/name: there is no split 'test'; there are train_prefs, test_prefs"):
        score(model, "owner/name", tmp_path, split="test")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("owner/no-such-dataset", r"owner/no-such-dataset: .*could not be loaded from the Hugging Face Hub"),
        ("no/such/folder", "there is no such file or folder, and it is no hub id"),
        ("rows.jsonl", "there is no such file or folder"),
    ],
)
def test_a_dataset_that_is_not_there_is_named(dataset, message, tmp_path):
    with pytest.raises(InputError, match=message):
        score("no/model", dataset, tmp_path)


# what is refused, before a model is loaded


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pairs().drop_columns("chosen"), "no column 'chosen'; it must have prompt, chosen, rejected; it has prompt"),
        (pairs().set_column(0, "prompt", pa.array([*PROMPTS[:3], None, "x"])), r"column 'prompt': row 3 .* is None"),
        (pairs().set_column(1, "chosen", pa.array(range(5))), r"column 'chosen': row 0 .* is 0; it must be text"),
        (
            pairs().set_column(2, "rejected", pa.array([[{"role": "assistant"}]] * 5)),
            r"column 'rejected': row 0 .*; it must be text or a list of messages \{role, content\}",
        ),
        (pairs().set_column(2, "rejected", pa.array([[]] * 5, MESSAGES)), r"column 'rejected': row 0 .* is \[\]"),
        (pairs(bt_prob=[0.5] * 5), "there is a column 'bt_prob' already"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused_with_its_place(table, message, tmp_path):
    save(table, tmp_path / "data/train.parquet")
    with pytest.raises(InputError, match=f"{tmp_path}/data, split train: {message}"):
        score("no/such/model", tmp_path / "data", tmp_path / "bt")
    assert not (tmp_path / "bt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--spec", "x.yaml", "--reverse"], "stand in the file of --spec"),
        (["--spec", "x.yaml", "--no-reverse"], "stand in the file of --spec"),
        (["--spec", "x.yaml", "--text_format", "plain"], "stand in the file of --spec"),
        (["--text_format", "latin"], "invalid choice: 'latin'"),
        (["--per_device_evalreward_batch_size", "0"], "must be at least 1"),
        (["--process_all_splits"], "not allowed with"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit):
        score("no/model", tmp_path, tmp_path, *arguments)
    assert message in capsys.readouterr().err


def test_scores_that_are_no_numbers_are_not_written(tmp_path):
    save_headed(tmp_path / "model", "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    file = tmp_path / "model/model.safetensors"
    weights = load_file(file)
    weights["score_head.bias"] = weights["score_head.bias"] * float("nan")
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"train: chosen_score: \d of \d scores are no finite .* has nan"):
        score(tmp_path / "model", save(pairs(), tmp_path / "p.parquet"), tmp_path / "out")
    assert not list(tmp_path.glob("out/*.parquet"))
