"""Every published dataset's entry, prepared from files in the hub's own schema and layout."""

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_data import (
    hh_row,
    ids,
    pku_row,
    prepare,
    row,
    summarize_row,
    ultrafeedback_row,
    webgpt_row,
    write_jsonl,
)

from pipeline.config.settings import Settings
from pipeline.jobs.io import read_yaml

ROOT = Path(__file__).resolve().parents[3]
HH_SAMPLE = ROOT.parent / "shared" / "hh-rlhf"
ENTRIES = read_yaml(ROOT / "config/datasets.yaml")
ROWS = {
    "pku": lambda i: pku_row(i % 2, 1 - i % 2, prompt=f"How do I pick lock {i}?"),
    "ultrafeedback": lambda i: (
        ultrafeedback_row(("a", 7.0), ("b", 8.5), ("c", 2.0), ("d", 3.0)) | {"instruction": f"Name fruit {i}."}
    ),
    "hh_rlhf": lambda i: hh_row("Hi.", "Hello!", f"Who are you, {i}?", chosen="A model.", rejected="Nobody."),
    "summarize": lambda i: summarize_row(i % 2, {"post": f"I lost key {i}."}),
    "webgpt": lambda i: webgpt_row((-1) ** i, -((-1) ** i), f"Why is sky {i} blue?"),
}
PUBLISHED = {name: entry for name, entry in ENTRIES.items() if entry.get("source") in ROWS}


def dialogue(question, answer, *before):
    turns = [*before, ("user", question), ("assistant", answer)]
    return [{"role": role, "content": text} for role, text in turns]


def whole(i):
    return {"chosen": dialogue(f"Ask {i}?", f"Good {i}."), "rejected": dialogue(f"Ask {i}?", f"Poor {i}.")}


# Rows as the cards on the hub have them.
TODAY = {
    "ultrafeedback-binarized": lambda i: (
        {"prompt": f"Ask {i}?", "prompt_id": f"{i:064}", **whole(i), "messages": whole(i)["chosen"]}
        | {"score_chosen": 8.5, "score_rejected": 6.0}
    ),
    "tulu-3": lambda i: {"id": str(i), "source": "sft", **whole(i)},
    "skywork-80k": lambda i: {**whole(i), "source": "magpie"},
    "orca-pairs": lambda i: {
        "system": "Be brief.",
        "question": f"Ask {i}?",
        "chosen": "Good.",
        "rejected": f"Poor {i}.",
    },
    "orpo-mix-40k": lambda i: {"source": "toxic", **whole(i), "prompt": f"Ask {i}?", "question": f"Ask {i}?"},
    "helpsteer3": lambda i: {
        **{"domain": "general", "language": "english", "context": dialogue(f"Ask {i}?", "")[:1]},
        **{"response1": "Good.", "response2": f"Poor {i}.", "overall_preference": -2, "individual_preference": []},
    },
    "nectar": lambda i: {
        **{"prompt": f"\n\nHuman: Ask {i}?\n\nAssistant: ", "num_responses": 2, "turns": 1, "source": ["ultrachat"]},
        "answers": [
            {"answer": f"{word} {i}.", "model": "m", "rank": rank} for word, rank in (("Good", 1.0), ("Poor", 2.0))
        ],
    },
    "arena-140k": lambda i: {
        **{"id": str(i), "model_a": "one", "model_b": "two", "winner": "model_a", "language": "en"},
        **{"conversation_a": whole(i)["chosen"], "conversation_b": whole(i)["rejected"]},
    },
}
FORMATS = ("parquet", "shards", "jsonl", "jsonl.gz", "saved")


def write(folder, form, splits):
    """Splits of rows as files of that form."""
    folder.mkdir()
    if form == "saved":
        saved = {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}
        datasets.DatasetDict(saved).save_to_disk(folder)
    for name, rows in splits.items():
        if form in ("jsonl", "jsonl.gz"):
            write_jsonl(folder / f"{name}.{form}", rows)
        elif form == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
        elif form == "shards":
            (folder / "data").mkdir(exist_ok=True)
            for shard in range(2):
                path = folder / "data" / f"{name}-0000{shard}-of-00002.parquet"
                pq.write_table(pa.Table.from_pylist(rows[shard::2]), path)


@pytest.mark.parametrize("form", FORMATS)
def test_published_entries_are_prepared_from_local_files(tmp_path, form):
    local = {}
    for name, entry in PUBLISHED.items():
        eval_split = entry.get("splits", {}).get("eval")
        folder = tmp_path / f"{entry['source']}-{eval_split}"
        local[name] = entry | {"path": str(folder), "revision": "v1"}
        if not folder.exists():
            splits = {"train": [ROWS[entry["source"]](i) for i in range(60)]}
            if eval_split:
                splits[eval_split] = [ROWS[entry["source"]](i) for i in range(55, 75)]
            write(folder, form, splits)
    config = {"tag": "t", "datasets": [*local], "models": ["W1M"], "seeds": [1], "tasks": [{"method": "dpo"}]}
    config |= {"judge": "reward", "reward_model": "deberta", "definitions": {"datasets": local}}
    settings = Settings.from_config(config)
    for name, entry in PUBLISHED.items():
        prepared, card = prepare(settings.data_spec(name))
        if "splits" in entry:
            expected = {"train": 52, "selection": 3, "eval": 20}
            assert card["dropped"]["prompt_in_eval"] == 5, name
        else:
            held_out = round(60 * entry["eval_share"])
            expected = {"train": 60 - held_out - round(0.05 * (60 - held_out)), "eval": held_out}
            expected["selection"] = 60 - sum(expected.values())
        assert card["splits"] == expected, name
        names = [set(ids(table)) for table in prepared.values()]
        assert len(set.union(*names)) == sum(map(len, names)), name
        assert card["format"] == ("messages" if entry["source"] == "hh_rlhf" else "text"), name
        assert len(card["samples"]) == 5, name


def test_every_entry_is_tried_here():
    assert set(ENTRIES) == {*PUBLISHED, *TODAY, "world", "fair-world"}


@pytest.mark.parametrize("name", TODAY)
def test_entries_of_today_are_prepared_from_files_with_the_hubs_names(tmp_path, name):
    entry = ENTRIES[name]
    splits = entry.get("splits") or {"train": "train"}
    files = {split: [TODAY[name](i + 100 * number) for i in range(60)] for number, split in enumerate(splits.values())}
    write(tmp_path / "data", "parquet", files)
    local = {name: entry | {"path": str(tmp_path / "data"), "near_duplicates": None}}
    config = {"tag": "t", "datasets": [name], "models": ["W1M"], "seeds": [1], "tasks": [{"method": "dpo"}]}
    prepared, card = prepare(Settings.from_config(config | {"definitions": {"datasets": local}}).data_spec(name))
    assert (card["rows_in"], card["rows_out"]) == (60 * len(files), 60 * len(files)), card["dropped"]
    if "eval" in splits:
        assert card["splits"]["eval"] == 60
    for table in prepared.values():
        for pair in table.to_pylist():
            assert pair["prompt"][-1]["role"] == "user" and pair["prompt"][-1]["content"].startswith("Ask ")
            assert pair["chosen"][0]["content"].startswith("Good") and pair["rejected"][0]["content"].startswith("Poor")


def test_real_dialogues_are_prepared_and_their_near_duplicates_found(tmp_path):
    if not HH_SAMPLE.is_dir():
        pytest.skip(f"the hh-rlhf sample is not there ({HH_SAMPLE})")
    spec = {"name": "hh", "source": "hh_rlhf", "path": str(HH_SAMPLE), "splits": {"train": "train"}, "seed": 42}
    spec |= {"eval_share": 0.1, "selection_share": 0.05, "near_duplicates": 0.8}
    splits, card = prepare(spec)
    assert card["rows_in"] == 600 and card["rows_out"] + sum(card["dropped"].values()) == 600
    assert card["rows_out"] > 500 and card["prompts"]["eval"] == card["splits"]["eval"] > 40
    assert not set(ids(splits["train"])) & set(ids(splits["eval"]))
    assert card["contamination"]["eval_prompts"] > 30
    _, without = prepare(spec | {"near_duplicates": None})
    assert without["dropped"]["near_duplicate"] == 0 <= card["dropped"]["near_duplicate"]


def test_an_own_table_of_each_kind_is_prepared(tmp_path):
    messages = [
        {"prompt": [{"role": "user", "content": f"p{i}"}], "chosen": f"c{i}", "rejected": "r"} for i in range(40)
    ]
    for name, rows in (("text", [row(i) for i in range(40)]), ("messages", messages)):
        for form in FORMATS:
            write(tmp_path / f"{name}-{form}", form, {"train": rows})
            spec = {"name": name, "source": "plain", "path": str(tmp_path / f"{name}-{form}"), "eval_share": 0.1}
            assert (card := prepare(spec | {"splits": {"train": "train"}})[1])["rows_out"] == 40 and card[
                "format"
            ] == name
