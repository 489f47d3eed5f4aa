"""Mixes: what is drawn of each dataset, and that no held-out prompt of one is in the train split of another."""

from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from fixtures_data import plain, row, write_jsonl

import prepare_data
from pipeline.data import preparation
from pipeline.data.mixing import allotted, mix
from pipeline.data.splitting import REASONS, SPLITS
from pipeline.jobs.io import InputError, read_json, write_yaml


def part(folder, name, rows, **keys):
    """The folder of a dataset, prepared without a look for near duplicates, as the rows are nearly the same."""
    path = write_jsonl(folder / f"{name}.jsonl", rows)
    preparation.prepare(plain(path, name=name, **{"near_duplicates": None} | keys), folder / name, 1)
    return str(folder / name)


def spec_of(*names, **keys):
    """The spec of a mix; a name may be a pair of name and weight."""
    parts = [name if isinstance(name, tuple) else (name, 1.0) for name in names]
    spec = {"name": "both", "source": "mix", "mix": [{"dataset": name, "weight": weight} for name, weight in parts]}
    return spec | {"limit": None, "eval_size": None, "seed": 42, "near_duplicates": None} | keys


def mixed(spec, folders, folder):
    """The splits as tables, and the card."""
    card = mix(spec, folders, folder / "mixed")
    assert read_json(folder / "mixed/card.json") == card
    return {name: pq.read_table(folder / f"mixed/{name}.parquet") for name in SPLITS}, card


def counts(table):
    return Counter(table["source"].to_pylist())


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Two datasets of texts: train 72 and 36, selection 8 and 4, eval 20 and 10."""
    folder = tmp_path_factory.mktemp("parts")
    return [
        part(folder, "A", [row(i, f"first {i}") for i in range(100)]),
        part(folder, "B", [row(i, f"second {i}") for i in range(50)]),
    ]


@pytest.mark.parametrize(
    ("available", "weights", "most", "right"),
    [
        ([100, 100], [2, 1], None, [100, 50]),
        ([100, 30], [2, 1], None, [60, 30]),
        ([100, 30], [0.5, 0.25], 30, [20, 10]),
        ([5, 5], [2, 1], None, [5, 2]),
        ([10, 10, 10], [1, 1, 1], 10, [4, 3, 3]),
        ([7, 100], [1, 1e-9], None, [7, 0]),
        ([0, 100], [1, 1], None, [0, 0]),
        ([3, 3, 3], [1, 1, 1], None, [3, 3, 3]),
    ],
)
def test_rows_are_allotted_by_weight_and_none_is_drawn_twice(available, weights, most, right):
    assert allotted(np.array(available), np.array(weights, float), most).tolist() == right


def test_each_split_has_the_shares_of_the_weights_and_every_row_its_source(parts, tmp_path):
    splits, card = mixed(spec_of(("A", 3.0), "B"), parts, tmp_path)
    assert [dict(counts(splits[name])) for name in SPLITS] == [{"A": 72, "B": 24}, {"A": 8, "B": 2}, {"A": 20, "B": 6}]
    assert splits["train"].column_names == ["prompt_id", "prompt", "chosen", "rejected", "source"]
    for name, table in splits.items():
        own = {tag: pq.read_table(f"{at}/{name}.parquet").to_pylist() for tag, at in zip("AB", parts, strict=True)}
        for line in table.to_pylist():
            source = line.pop("source")
            assert line in own[source], name
    order = splits["train"]["source"].to_pylist()
    assert order != sorted(order), "the datasets come one after the other"
    assert card["mix"][1] == {
        **{"dataset": "B", "weight": 1.0, "train": {"drawn": 24, "of": 36}},
        **{"selection": {"drawn": 2, "of": 4}, "eval": {"drawn": 6, "of": 10}},
    }
    assert (card["source"], card["rows_in"], card["rows_out"]) == ("mix", 150, 132)
    assert card["dropped"] == dict.fromkeys(REASONS, 0) | {"not_sampled": 18}


def test_the_draw_is_seeded(parts, tmp_path):
    bytes_of = {}
    for seed in (42, 42, 1):
        mix(spec_of("A", ("B", 0.5), seed=seed), parts, tmp_path / "mixed")
        bytes_of.setdefault(seed, []).append([(tmp_path / f"mixed/{name}.parquet").read_bytes() for name in SPLITS])
    (first, second), [other] = bytes_of.values()
    assert first == second and all(one != two for one, two in zip(first, other, strict=True))


def test_train_and_eval_can_be_limited(parts, tmp_path):
    splits, card = mixed(spec_of("A", "B", limit=30, eval_size=10), parts, tmp_path)
    assert counts(splits["train"]) == {"A": 15, "B": 15} and counts(splits["eval"]) == {"A": 5, "B": 5}
    assert card["splits"] == {"train": 30, "selection": len(splits["selection"]), "eval": 10}


def test_a_prompt_that_one_holds_out_is_not_trained_on_from_another(tmp_path):
    rows = [row(i, f"asked {i}") for i in range(60)]
    others = [line | {"chosen": f"better {i}"} for i, line in enumerate(rows)]
    folders = [part(tmp_path, "A", rows, seed=1), part(tmp_path, "B", [*others, rows[0]], seed=2)]
    splits, card = mixed(spec_of("A", "B"), folders, tmp_path)
    prompts = {name: set(table["prompt"].to_pylist()) for name, table in splits.items()}
    assert len(splits["eval"]) == len(prompts["eval"]) and counts(splits["eval"])["A"] == counts(splits["eval"])["B"]
    for one, two in (("train", "eval"), ("train", "selection"), ("selection", "eval")):
        assert not prompts[one] & prompts[two], (one, two)
    assert card["dropped"]["prompt_in_eval"] > 5
    assert card["rows_in"] == card["rows_out"] + sum(card["dropped"].values()) == 121


def test_near_duplicates_between_the_datasets_are_left_out(tmp_path):
    words = "please write a short story about a lighthouse keeper who finds number"
    rows = [row(i, f"{words} {i * 7919} {i * 104729} {i * 1299709}") for i in range(40)]
    near = [line | {"prompt": line["prompt"].upper(), "chosen": f"fine {line['chosen']}"} for line in rows]
    folders = [part(tmp_path, "A", rows), part(tmp_path, "B", [row(i, f"other {i}") for i in range(40)] + near)]
    splits, card = mixed(spec_of("A", "B", near_duplicates=0.9), folders, tmp_path)
    held = {prompt.lower() for prompt in splits["eval"]["prompt"].to_pylist()}
    assert not held & {prompt.lower() for prompt in splits["train"]["prompt"].to_pylist()}
    assert card["dropped"]["near_prompt_in_eval"] > 0


def test_further_columns_of_the_datasets_stay_and_have_no_value_elsewhere(parts, tmp_path):
    rows = [row(i, f"sliced {i}") | {"level": i, "domain": ["maths", "code"][i % 2], "grade": i} for i in range(40)]
    others = [row(i, f"graded {i}") | {"grade": ["high", None][i % 2]} for i in range(40)]
    sliced = part(tmp_path, "C", rows, slices=["level", "domain", "grade"])
    graded = part(tmp_path, "D", others, slices=["grade"])
    splits, card = mixed(spec_of("A", "C", "D"), [parts[0], sliced, graded], tmp_path)
    seen = Counter()
    for table in splits.values():
        assert {"level", "domain", "grade"} < set(table.column_names)
        for line in table.to_pylist():
            number = int(line["prompt"].split()[-1])
            found = line["level"], line["domain"], line["grade"]
            seen[line["source"]] += 1
            if line["source"] == "C":
                assert found == (number, ["maths", "code"][number % 2], str(float(number)))
            else:
                assert np.isnan(found[0]) and found[1] == "(none)"
                assert found[2] == ("(none)" if line["source"] == "A" or number % 2 else "high")
    assert min(seen[name] for name in "ACD") > 5
    assert None in [sample["level"] for sample in card["samples"]]
    again, _ = mixed(spec_of("A"), parts[:1], tmp_path)
    assert again["train"].column_names == ["prompt_id", "prompt", "chosen", "rejected", "source"]


def test_texts_become_dialogues_beside_dialogues(parts, tmp_path):
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    rows = [
        {"prompt": [*turns, {"role": "user", "content": f"asked {i}"}]}
        | {name: [{"role": "assistant", "content": f"{name} {i}"}] for name in ("chosen", "rejected")}
        for i in range(60)
    ]
    splits, card = mixed(spec_of("A", "C"), [parts[0], part(tmp_path, "C", rows)], tmp_path)
    assert card["format"] == "messages"
    first = {source: splits["train"].filter(np.array(splits["train"]["source"]) == source) for source in "AC"}
    assert all(prompt[0]["content"].startswith("first ") for prompt in first["A"]["prompt"].to_pylist())
    assert all(prompt[:2] == turns for prompt in first["C"]["prompt"].to_pylist())
    assert first["A"]["chosen"][0].as_py()[0]["role"] == "assistant"


def test_label_noise_of_one_dataset_stays_in_its_rows(parts, tmp_path):
    noisy = part(tmp_path, "N", [row(i, f"noisy {i}") for i in range(80)], label_switching=0.4, label_seed=0)
    splits, card = mixed(spec_of("A", "N"), [parts[0], noisy], tmp_path)
    lines = splits["train"].to_pylist()
    assert "flipped" not in splits["eval"].column_names
    assert {line["label_prob"] for line in lines if line["source"] == "N"} == {0.6}
    assert {(line["flipped"], line["label_prob"]) for line in lines if line["source"] == "A"} == {(False, 1.0)}
    assert all(line["flipped"] == line["chosen"].startswith("bad") for line in lines)
    flipped = sum(line["flipped"] for line in lines)
    assert card["label_noise"] == {"flipped": flipped, "share": round(flipped / len(lines), 4)} and flipped > 5


def test_a_split_without_rows_is_refused(parts, tmp_path):
    twin = part(tmp_path, "twin", [row(i, f"first {i}") for i in range(100)])
    message = "dataset both: the eval split would be empty: the weights allow no row; rows left: A 20, twin 0"
    with pytest.raises(InputError, match=message):
        mix(spec_of("A", "twin"), [parts[0], twin], tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()


def test_the_command_mixes_the_folders_that_it_is_given(parts, tmp_path, capsys):
    write_yaml(spec_of("A", "B", limit=20), tmp_path / "spec.yaml")
    command = ["--spec", str(tmp_path / "spec.yaml"), "--output-dir", str(tmp_path / "mixed")]
    with pytest.raises(InputError, match=r"--parts must be 2 folders, of A, B"):
        prepare_data.main([*command, "--parts", parts[0]])
    prepare_data.main([*command, "--parts", *parts])
    assert "both: 150 rows in, train 20, selection" in capsys.readouterr().out
    record = read_json(tmp_path / "mixed/provenance.json")
    assert sorted(record["inputs"]) == sorted([str(tmp_path / "spec.yaml"), *parts])
    with pytest.raises(InputError, match=r"none/train\.parquet: not a readable prepared split"):
        prepare_data.main([*command, "--parts", parts[0], str(tmp_path / "none")])
