import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_data import ids, plain, prepare, prepare_rows, row, write_jsonl

from pipeline.data import preparation, writing
from pipeline.data.loading import read_batches
from pipeline.data.prompt_ids import prompt_id
from pipeline.data.split_files import split_files
from pipeline.data.splitting import REASONS
from pipeline.jobs.io import InputError


def read(path, split="train", **keys):
    spec = plain(path, **keys)
    return [row for batch in read_batches(spec, split, ["prompt"]) for row in batch.table["prompt"].to_pylist()]


# Filtering


def test_every_row_is_in_a_split_or_counted(tmp_path):
    rows = [row(number) for number in range(50)]
    rows += [row(0), row(1)]
    rows += [{"prompt": "p", "chosen": "same", "rejected": "same"}]
    splits, card = prepare_rows(tmp_path, rows)
    assert card["dropped"] == dict.fromkeys(REASONS, 0) | {"duplicate": 2, "equal_responses": 1}
    assert (card["rows_in"], card["rows_out"]) == (53, 50)
    assert card["splits"] == {"train": 36, "selection": 4, "eval": 10}
    assert {name: len(table) for name, table in splits.items()} == card["splits"]


@pytest.mark.parametrize(("column", "value"), [("prompt", " \n"), ("chosen", ""), ("rejected", "\t"), ("chosen", "  ")])
def test_an_empty_text_in_a_plain_table_is_refused_by_file_column_and_row(tmp_path, column, value):
    rows = [row(number) for number in range(20)]
    rows[7][column] = value
    with pytest.raises(InputError, match=rf"rows\.jsonl: column '{column}': row 7 \(the first is 0\) is empty"):
        prepare_rows(tmp_path, rows)


def test_an_empty_text_in_a_published_dataset_is_dropped_and_counted(tmp_path):
    rows = [{"prompt": f"p{i}", "response_0": "a", "response_1": "b", "better_response_id": 0} for i in range(20)]
    rows[3]["response_1"] = " "
    rows[5]["prompt"] = ""
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    _, card = prepare(plain(path, source="pku", preference="helpful"))
    assert card["dropped"] == dict.fromkeys(REASONS, 0) | {"empty": 2}


def test_an_empty_message_counts_as_empty(tmp_path):
    def messages(text, role="assistant"):
        return [{"role": role, "content": text}]

    rows = [
        {"prompt": messages(f"p{i}", "user"), "chosen": messages("c"), "rejected": messages("r")} for i in range(10)
    ]
    rows += [rows[0] | {"rejected": messages(" ")}, rows[0]]
    splits, card = prepare_rows(tmp_path, rows)
    assert (card["dropped"]["empty"], card["dropped"]["duplicate"]) == (1, 1)
    assert card["format"] == "messages"
    assert splits["train"]["chosen"][0].as_py() == messages("c")


def test_text_and_messages_do_not_mix(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [row(1)])
    write_jsonl(tmp_path / "b.jsonl", [{"prompt": [{"role": "user", "content": "p"}], "chosen": "c", "rejected": "r"}])
    with pytest.raises(InputError, match=r"b\.jsonl: some prompts are text and some are messages"):
        prepare(plain(tmp_path))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_null_names_file_column_and_row(tmp_path, suffix):
    rows = [row(number) for number in range(5000)]
    rows[4321]["chosen"] = None
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    if suffix == "parquet":
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(InputError, match=rf"rows\.{suffix}: column 'chosen': row 4321"):
        prepare(plain(path))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_fault_far_down_is_named_by_file_column_and_row(tmp_path, processes):
    rows = [row(number) for number in range(22_000)]
    rows[21_500]["rejected"] = None
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet: column 'rejected': row 21500 \(the first is 0\) is null"):
        prepare(plain(tmp_path / "rows.parquet"), processes)


def test_a_type_that_changes_is_named_with_its_row(tmp_path):
    rows = [row(number) | ({"chosen": 7} if number >= 5000 else {}) for number in range(6000)]
    with pytest.raises(
        InputError, match=r"rows\.jsonl, from row 5000 on: column 'chosen' holds int64; it must hold text"
    ):
        prepare_rows(tmp_path, rows)


def test_the_number_of_processes_changes_no_byte(tmp_path):
    rows = [
        row(number % 21_000, f"what is the number that comes after {number % 15_000} here?") for number in range(22_000)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    for processes in (1, 2):
        preparation.prepare(
            plain(tmp_path / "rows.parquet", near_duplicates=0.8, label_switching=0.1, limit=20_000),
            tmp_path / str(processes),
            processes,
        )
    one, two = (sorted((tmp_path / name).iterdir()) for name in "12")
    assert [path.name for path in one] == ["card.json", "eval.parquet", "selection.parquet", "train.parquet"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_texts_are_written_piece_by_piece_in_the_same_order(tmp_path, monkeypatch):
    rows = [row(number) for number in range(500)]
    whole, card = prepare_rows(tmp_path, rows, label_switching=0.3)
    monkeypatch.setattr(writing, "PIECE_ROWS", 64)
    pieces, again = prepare_rows(tmp_path, rows, label_switching=0.3)
    assert all(whole[name].equals(pieces[name]) for name in whole) and card == again


# Splits


def test_no_prompt_is_in_two_splits_and_held_out_prompts_have_one_pair(tmp_path):
    rows = [row(number, prompt=f"prompt {number % 40}") for number in range(400)]
    splits, card = prepare_rows(tmp_path, rows)
    train, selection, held_out = (set(ids(splits[name])) for name in ("train", "selection", "eval"))
    assert not train & selection and not train & held_out and not selection & held_out
    assert card["prompts"] == {"train": 29, "selection": 3, "eval": 8}
    assert card["splits"] == {"train": 290, "selection": 3, "eval": 8}
    assert card["dropped"]["repeated_prompt"] == 11 * 9


def test_prompts_that_differ_in_white_space_alone_stay_together(tmp_path):
    rows = [row(number, prompt=("a  b" if number % 2 else "a b") + f" {number // 2}") for number in range(40)]
    _, card = prepare_rows(tmp_path, rows)
    assert sum(card["prompts"].values()) == 20


def test_prompt_ids_are_stable():
    # sha256 of "What is it?" and of the JSON text [["user", "What is it?"]].
    assert prompt_id("What is it?") == prompt_id(" What\nis   it? ") == "bbff7b98d6da7061"
    assert prompt_id([{"role": "user", "content": "What is it?"}]) == "b6ff6dfc754d5bf9"
    assert prompt_id("caf\u00e9") == prompt_id("cafe\u0301") != prompt_id("Caf\u00e9")


def test_limit_samples_after_filtering(tmp_path):
    rows = [{"prompt": "p", "chosen": "r", "rejected": "r"}] * 50 + [row(number) for number in range(100)]
    splits, card = prepare_rows(tmp_path, rows, limit=40)
    assert card["rows_out"] == 40
    assert card["dropped"]["not_sampled"] == 60
    assert max(int(prompt.split()[1]) for prompt in splits["train"]["prompt"].to_pylist()) > 60


def test_the_seed_decides_and_the_same_seed_gives_the_same(tmp_path):
    rows = [row(number) for number in range(60)]
    one, two, other = (prepare_rows(tmp_path, rows, limit=50, seed=seed) for seed in (1, 1, 2))
    assert one[1] == two[1] and one[1] != other[1]
    assert all(one[0][name].equals(two[0][name]) for name in one[0])
    assert set(ids(one[0]["eval"])) != set(ids(other[0]["eval"]))


def test_more_rows_move_few_prompts(tmp_path):
    before, _ = prepare_rows(tmp_path, [row(number) for number in range(1000)])
    after, _ = prepare_rows(tmp_path, [row(number) for number in range(1010)])
    assert len(set(ids(before["eval"])) & set(ids(after["train"]))) <= 5


def test_absolute_sizes(tmp_path):
    sizes = {"eval_share": None, "selection_share": None, "eval_size": 7, "selection_size": 0}
    splits, card = prepare_rows(tmp_path, [row(number) for number in range(30)], **sizes)
    assert card["splits"] == {"train": 23, "selection": 0, "eval": 7}
    assert splits["selection"].schema == splits["train"].schema


def test_the_sources_own_eval_split_stays_whole_and_its_prompts_leave_train(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [row(number) for number in range(40)])
    write_jsonl(tmp_path / "test.jsonl", [row(number) for number in range(30, 50)])
    splits, card = prepare(plain(tmp_path, splits={"train": "train", "eval": "test"}, eval_share=None))
    assert card["splits"] == {"train": 27, "selection": 3, "eval": 20}
    assert card["dropped"]["prompt_in_eval"] == 10
    assert not set(ids(splits["train"])) & set(ids(splits["eval"]))

    _, card = prepare(
        plain(tmp_path, splits={"train": "train", "eval": "test"}, eval_share=None, eval_size=5, limit=20)
    )
    assert card["splits"] == {"train": 18, "selection": 2, "eval": 5}
    assert card["rows_in"] == card["rows_out"] + sum(card["dropped"].values()) == 60


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ([row(1)] * 3, {}, "dataset mine: the train split would be empty: 1 prompts are left .*duplicate 2"),
        (
            [row(1) | {"chosen": "same", "rejected": "same"}],
            {},
            "train split would be empty: 0 prompts are left .*equal_responses 1",
        ),
        ([row(1), row(2)], {"eval_share": None, "eval_size": 2}, "train split would be empty: .*2 for eval"),
        ([row(1), row(2)], {"eval_share": None}, "dataset mine: it needs eval_share, eval_size, or splits.eval"),
        ([], {}, "dataset mine: the source's split 'train' has no rows"),
    ],
)
def test_an_empty_split_is_refused_with_the_counts(tmp_path, rows, keys, message):
    with pytest.raises(InputError, match=message):
        prepare_rows(tmp_path, rows, **keys)


def test_an_empty_eval_split_of_the_source_is_refused(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", [row(number) for number in range(9)])
    write_jsonl(tmp_path / "test.jsonl", [row(1) | {"chosen": "same", "rejected": "same"}])
    with pytest.raises(InputError, match=r"the eval split would be empty: .*equal_responses 1"):
        prepare(plain(tmp_path, splits={"train": "train", "eval": "test"}))


# Card


def test_the_card_describes_responses_and_shows_five_rows(tmp_path):
    rows = [row(number) | {"chosen": "x" * (number + 1), "rejected": "é"} for number in range(100)]
    _, card = prepare_rows(tmp_path, rows)
    assert card["response_characters"]["chosen"] == pytest.approx(
        {"mean": 50.5, "p5": 6.0, "p50": 50.5, "p95": 95.0}, abs=0.11
    )
    assert card["response_characters"]["rejected"] == {"mean": 1.0, "p5": 1.0, "p50": 1.0, "p95": 1.0}
    assert len({sample["prompt_id"] for sample in card["samples"]}) == 5
    assert (card["dataset"], card["source"], card["format"]) == ("mine", "plain", "text")


# Sources


def test_a_folder_is_read_by_the_hubs_names(tmp_path):
    write_jsonl(tmp_path / "harmless-base" / "train.jsonl.gz", [row(0)])
    write_jsonl(tmp_path / "helpful-base" / "train.jsonl.gz", [row(1)])
    write_jsonl(tmp_path / "helpful-base" / "test.jsonl.gz", [row(2)])
    for shard in range(2):
        pq.write_table(pa.Table.from_pylist([row(3 + shard)]), tmp_path / f"train-0000{shard}-of-00002.parquet")
    write_jsonl(tmp_path / "validation" / "part.jsonl", [row(5)])
    write_jsonl(tmp_path / ".cache" / "train.jsonl", [row(6)])
    (tmp_path / "README.md").write_text("read me")
    assert read(tmp_path) == ["prompt 0", "prompt 1", "prompt 3", "prompt 4"]
    assert read(tmp_path, "test") == ["prompt 2"]
    assert read(tmp_path, "validation") == ["prompt 5"]
    assert read(tmp_path, config_name="helpful-base") == ["prompt 1"]
    with pytest.raises(InputError, match="there is no split 'dev'; the files in it name test, train, validation"):
        split_files(tmp_path, "dev")


def test_a_folder_whose_files_name_no_split_is_the_train_split(tmp_path):
    write_jsonl(tmp_path / "flan.jsonl", [row(0)])
    write_jsonl(tmp_path / "sharegpt.jsonl", [row(1)])
    assert read(tmp_path) == ["prompt 0", "prompt 1"]
    assert read(tmp_path, "flan") == ["prompt 0"]


def test_a_single_file_has_no_eval_split(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row(0)])
    with pytest.raises(InputError, match=r"rows\.jsonl: it holds one split: set splits\.eval to null"):
        read(path, splits={"train": "train", "eval": "test"})


def test_a_saved_dataset_is_read(tmp_path):
    train = datasets.Dataset.from_list([row(number) for number in range(3)])
    datasets.DatasetDict({"train": train, "test": train.select([2])}).save_to_disk(tmp_path / "splits")
    train.save_to_disk(tmp_path / "one")
    assert read(tmp_path / "splits", "test") == ["prompt 2"]
    assert read(tmp_path / "one") == ["prompt 0", "prompt 1", "prompt 2"]
    with pytest.raises(InputError, match="there is no split 'dev'; it has train, test"):
        read(tmp_path / "splits", "dev")
    with pytest.raises(InputError, match="no column 'chosen'"):
        list(read_batches(plain(_without_chosen(tmp_path)), "train", ["prompt", "chosen"]))


def _without_chosen(folder):
    datasets.Dataset.from_list([{"prompt": "p"}]).save_to_disk(folder / "narrow")
    return folder / "narrow"


def test_a_hub_dataset_is_asked_for_by_name_split_and_revision(monkeypatch):
    asked = []

    def load_dataset(path, name, split, revision):
        asked.append((path, name, split, revision))
        if revision is None:
            raise RuntimeError("Dataset scripts are no longer supported, but found summarize_from_feedback.py")
        return datasets.Dataset.from_list([row(0)])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read("owner/name", config_name="comparisons", revision="v1") == ["prompt 0"]
    assert read("owner/name", config_name="comparisons") == ["prompt 0"]
    assert asked == [
        ("owner/name", "comparisons", "train", "v1"),
        ("owner/name", "comparisons", "train", None),
        ("owner/name", "comparisons", "train", "refs/convert/parquet"),
    ]


def test_a_hub_dataset_that_cannot_be_had_is_named():
    with pytest.raises(
        InputError, match=r"owner/no-such-dataset, split 'train': there is no such local file or folder"
    ):
        read("owner/no-such-dataset")


@pytest.mark.parametrize("path", ["no/such/folder", "./owner/name", "/no/such", "data/rows.parquet", "rows"])
def test_a_path_that_does_not_exist_is_named(path):
    with pytest.raises(InputError, match="there is no such file or folder, and it is no hub id"):
        read(path)


def _truncated_gzip(path):
    write_jsonl(path, [row(number) for number in range(1000)])
    path.write_bytes(path.read_bytes()[:-40])


def _truncated_parquet(path):
    pq.write_table(pa.Table.from_pylist([row(number) for number in range(1000)]), path)
    path.write_bytes(path.read_bytes()[:-40])


def _damaged_column(path):
    """A file whose second column cannot be unpacked."""
    pq.write_table(
        pa.Table.from_pylist([row(number) for number in range(1000)]), path, compression="gzip", use_dictionary=False
    )
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    content = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    content[middle : middle + 40] = b"x" * 40
    path.write_bytes(content)


def test_the_damaged_column_of_a_parquet_file_is_named(tmp_path):
    _damaged_column(tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet: not a readable parquet file, column 'chosen', after row 0"):
        prepare(plain(tmp_path / "rows.parquet"))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("rows.parquet", lambda path: path.write_text("text"), r"rows\.parquet: not a readable parquet file"),
        ("rows.parquet", _truncated_parquet, r"rows\.parquet: not a readable parquet file"),
        ("rows.jsonl.gz", _truncated_gzip, r"rows\.jsonl\.gz: cannot be read after line \d+"),
        ("rows.jsonl.gz", lambda path: path.write_text("text"), r"rows\.jsonl\.gz: cannot be read after line 0"),
        ("rows.jsonl", lambda path: path.write_text('{"prompt": "p"}\n{"prompt": \n'), "line 2 is not JSON"),
        ("rows.jsonl", lambda path: path.write_text("[1]\n"), "line 1 is no JSON object but list"),
        ("rows.jsonl", lambda path: path.write_bytes(b'{"prompt": "\xff"}\n'), r"rows\.jsonl: cannot be read"),
        (
            "rows.jsonl",
            lambda path: path.write_text('{"prompt": 1}\n{"prompt": "a"}\n'),
            "'prompt': row 1 .* is of another type",
        ),
        ("rows.csv", lambda path: path.write_text("prompt\n"), r"rows\.csv: not a data file by its name"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)
