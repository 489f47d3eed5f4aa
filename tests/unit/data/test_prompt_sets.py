"""Sets of prompts as they are published become prompts, turns, references and categories."""

import json

import datasets
import pandas as pd
import pytest

import measure_contamination
import prepare_prompts
from pipeline.columns.prompts import SET_COLUMNS
from pipeline.config.settings import ROOT, Settings
from pipeline.data.prompt_sets import asked_turns
from pipeline.data.prompt_sets import prepare_prompts as prepared
from pipeline.jobs.io import InputError, read_json, read_parquet, read_yaml, write_parquet, write_yaml

SHIPPED = read_yaml(ROOT / "config/prompts.yaml")
# Rows in the hub's own schemas.
ALPACA = [
    {
        "dataset": "helpful_base",
        "instruction": f"Question {i}?",
        "output": f"Answer {i}.",
        "generator": "gpt4_1106_preview",
    }
    for i in range(3)
]
MT_BENCH = [
    {"category": "writing", "prompt": ["Write a poem.", "Make it rhyme."], "reference": [], "prompt_id": 81},
    {"category": "math", "prompt": ["What is 2 + 3?", "Double it."], "reference": ["5", "10"], "prompt_id": 111},
]
ARENA = [
    {"uid": "a1", "category": "hard_prompt", "subcategory": "coding", "prompt": "Sort it."},
    {"uid": "a2", "category": "creative_writing", "subcategory": "creative_writing", "prompt": "Tell me a story."},
]


def entry(name, path, **changes):
    """The spec of a set that has the shipped entry's columns, at a local path."""
    shipped = {key: value for key, value in SHIPPED[name].items() if key not in ("path", "revision")}
    return {"name": name, "path": str(path), "split": "train", "limit": None, "seed": 0, **shipped, **changes}


def write_lines(rows, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_alpaca_eval_is_read_from_its_file_alone_an_array_in_json(tmp_path):
    (tmp_path / "alpaca_eval_gpt4_baseline.json").write_text(json.dumps(ALPACA, indent=2), encoding="utf-8")
    (tmp_path / "alpaca_eval.py").write_text("raise RuntimeError", encoding="utf-8")
    frame, card = prepared(entry("alpaca_eval", tmp_path))
    assert frame["prompt"].tolist() == ["Question 0?", "Question 1?", "Question 2?"]
    assert frame["reference"].tolist() == [["Answer 0."], ["Answer 1."], ["Answer 2."]]
    assert set(frame["category"]) == {"helpful_base"} and frame["prompt_id"].is_unique
    assert json.loads(frame["row"][1]) == ALPACA[1]
    assert (card["prompts"], card["references"], card["turns"]) == (3, 3, {"1": 3})


def test_mt_bench_has_two_turns_and_ids_and_references_only_where_they_are_named(tmp_path):
    datasets.DatasetDict({"train": datasets.Dataset.from_list(MT_BENCH)}).save_to_disk(tmp_path / "saved")
    frame, card = prepared(entry("mt_bench", tmp_path / "saved"))
    assert frame["prompt"].tolist() == ["Write a poem.", "What is 2 + 3?"]
    assert frame["further"].tolist() == [["Make it rhyme."], ["Double it."]]
    assert frame["prompt_id"].tolist() == ["81", "111"] and frame["reference"].isna().all()
    assert card["turns"] == {"2": 2} and card["categories"] == {"math": 1, "writing": 1}
    named = SHIPPED["mt_bench"]["columns"] | {"reference": "reference"}
    frame, card = prepared(entry("mt_bench", tmp_path / "saved", columns=named))
    assert frame["reference"].tolist() == [None, ["5", "10"]] and card["references"] == 1


def test_arena_hard_is_a_file_in_a_repository_of_many(tmp_path):
    write_lines(ARENA, tmp_path / "data/arena-hard-v2.0/question.jsonl")
    write_lines([{"uid": "a1", "messages": []}], tmp_path / "data/arena-hard-v2.0/model_answer/m.jsonl")
    frame, card = prepared(entry("arena_hard", tmp_path))
    assert frame["prompt_id"].tolist() == ["a1", "a2"]
    assert card["categories"] == {"creative_writing": 1, "hard_prompt": 1}


@pytest.mark.parametrize(
    ("cell", "prompt", "further"),
    [
        ("One?", "One?", []),
        (["One?"], "One?", []),
        ([{"content": "One?"}], "One?", []),  # the first Arena-Hard's
        ([{"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}], "One?", ["Two?"]),
        ([{"from": "human", "value": "One?"}], "One?", []),
        (
            [
                {"role": "system", "content": "Rhyme."},
                {"role": "user", "content": "One?"},
                {"role": "user", "content": "2?"},
            ],
            [{"role": "system", "content": "Rhyme."}, {"role": "user", "content": "One?"}],
            ["2?"],
        ),
        (
            [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))],
            [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))],
            [],
        ),
    ],
)
def test_a_cell_asks_in_any_usual_form(cell, prompt, further):
    assert asked_turns(cell) == (prompt, further)


def test_where_some_prompts_are_messages_all_are(tmp_path):
    write_lines(
        [{"prompt": "One?"}, {"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "2?"}]}],
        tmp_path / "set.jsonl",
    )
    frame, _ = prepared({"name": "s", "path": str(tmp_path / "set.jsonl"), "split": "train"})
    assert [len(prompt) for prompt in frame["prompt"]] == [1, 2] and frame["category"].isna().all()


def test_equal_prompts_have_ids_of_their_own_and_a_limit_is_a_sample_in_order(tmp_path):
    write_lines([{"prompt": f"Question {i % 10}?", "n": i} for i in range(20)], tmp_path / "set.jsonl")
    spec = {"name": "s", "path": str(tmp_path / "set.jsonl"), "split": "train"}
    whole, _ = prepared(spec)
    assert whole["prompt_id"].is_unique and whole["prompt_id"][10] == f"{whole['prompt_id'][0]}-2"
    some, card = prepared(spec | {"limit": 5, "seed": 0})
    kept = [json.loads(row)["n"] for row in some["row"]]
    assert len(kept) == 5 == card["prompts"] and kept == sorted(kept) != list(range(5)) and card["rows_in"] == 20


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([{"text": "a"}], {}, "no column of prompts by its name; it has text. Name it in the set's entry"),
        ([{"prompt": "a"}], {"reference": "gold"}, "no column 'gold' for reference; it has prompt"),
        ([{"prompt": "a"}, {"prompt": " "}], {}, "row 1: column 'prompt' has an empty text"),
        ([{"prompt": "a"}, {"prompt": None}], {}, "row 1: column 'prompt' has neither text, nor a list of texts"),
        ([{"prompt": [{"role": "assistant", "content": "b"}]}], {}, "messages that do not end with the user's"),
        (
            [{"prompt": "a", "id": 1}, {"prompt": "b", "id": 1}],
            {"id": "id"},
            "row 1: the id '1' of column 'id' stands there 2 times",
        ),
        ([{"prompt": ["a", "b"], "r": ["x"]}], {"reference": "r"}, "row 0: 1 reference answers to 2 turns"),
    ],
)
def test_rows_that_cannot_be_used_are_named(rows, columns, message, tmp_path):
    write_lines(rows, tmp_path / "set.jsonl")
    spec = {"name": "s", "path": str(tmp_path / "set.jsonl"), "split": "train", "columns": columns}
    with pytest.raises(InputError) as caught:
        prepared(spec)
    assert message in str(caught.value)


def test_places_that_are_not_there_are_named(tmp_path):
    for path, more in ((tmp_path / "no.jsonl", {}), (tmp_path, {"file": "no.json"})):
        with pytest.raises(InputError, match="there is no such"):
            prepared({"name": "s", "path": str(path), "split": "train", **more})
    (tmp_path / "set.csv").write_text("prompt\na\n")
    with pytest.raises(InputError, match=r"must end in .parquet, .jsonl, .jsonl.gz or .json"):
        prepared({"name": "s", "path": str(tmp_path / "set.csv"), "split": "train"})


def test_the_scripts_write_the_set_its_card_and_what_it_shares_with_train(tmp_path):
    seen = "one two three four five six seven eight nine"
    rows = [
        {"prompt": [seen, "And now?"]},
        {"prompt": ["Short.", seen]},
        {"prompt": "a b c d e f g h i j"},
        {"prompt": "Short."},
    ]
    write_lines(rows, tmp_path / "set.jsonl")
    spec = {"name": "mine", "path": str(tmp_path / "set.jsonl"), "split": "train", "limit": None, "seed": 0}
    write_yaml(spec, tmp_path / "spec.yaml")
    place = tmp_path / "mine.parquet"
    arguments = ["--spec", str(tmp_path / "spec.yaml"), "--output", str(place), "--card", str(tmp_path / "mine.json")]
    prepare_prompts.main(arguments)
    frame = read_parquet(place, SET_COLUMNS)
    assert [list(texts) for texts in frame["further"]] == [["And now?"], [seen], [], []]
    assert read_json(tmp_path / "mine.json")["turns"] == {"1": 2, "2": 2}
    before = place.read_bytes()
    prepare_prompts.main(arguments)
    assert place.read_bytes() == before
    write_parquet(pd.DataFrame({"prompt": [f"He said: {seen}", "other words"]}), tmp_path / "train.parquet")
    found = tmp_path / "found.json"
    files = ["--train", str(tmp_path / "train.parquet"), "--sets", f"mine={place}", "--output", str(found)]
    measure_contamination.main(files)
    assert read_json(found) == {"mine": {"words": 8, "eval_prompts": 3, "shared": 2, "share": 0.6667}}


def test_shipped_entries_are_whole():
    config = {"tag": "t", "datasets": ["world"], "models": ["W1M"], "seeds": [1], "tasks": [{"method": "dpo"}]}
    shipped = Settings.from_config(config | {"judge": "reward", "prompts": list(SHIPPED)})
    assert shipped.prompt_sets == ["alpaca_eval", "mt_bench", "arena_hard"]
