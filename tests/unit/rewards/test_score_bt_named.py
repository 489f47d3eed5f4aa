"""score_bt by the published command: a tag and a run's name for the dataset, default for the split, no output."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures_models import llama_tokenizer, save_headed

import score_bt
from pipeline.jobs.io import InputError, read_json, write_yaml
from pipeline.rewards.pair_tables import read_splits

NEW = ["chosen_score", "rejected_score", "bt_prob"]
PAIRS = pa.table({"prompt": ["Why?", "What?"], "chosen": ["So.", "That."], "rejected": ["No.", "It."]})
CPU = ["--device", "cpu", "--threads", "1"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a tiny reward model."""
    folder = tmp_path_factory.mktemp("reward") / "model"
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer(), bias=True)
    return str(folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory whose results/ have a dataset and a run of the tag `mine`."""
    monkeypatch.chdir(tmp_path)
    responses = "results/responses/pairs/M/dpo/seed1/eval.parquet"
    row = {"dataset": "pairs", "model": "M", "run": "dpo", "seeds": {1: {"responses": responses}}}
    write_yaml({"tag": "mine", "split": "eval", "runs": [row]}, "results/specs/runs.yaml")
    (tmp_path / "results/data/pairs").mkdir(parents=True)
    (tmp_path / responses).parent.mkdir(parents=True)
    pq.write_table(PAIRS.add_column(0, "prompt_id", [["b", "a"]]), "results/data/pairs/eval.parquet")
    answers = {"prompt_id": ["a", "b"], "prompt": ["What?", "Why?"], "response": ["That.", "So."]}
    pq.write_table(pa.table(answers), responses)
    return tmp_path


def test_the_published_command_scores_what_results_have_of_a_tag_and_name(model, folder):
    score_bt.main(["--run_name", "pairs", "--tag", "mine", "--split", "default", "--score_model_id", model, *CPU])
    scored = pq.read_table("scored/pairs/mine/eval.parquet")
    assert scored.column_names == ["prompt_id", "prompt", "chosen", "rejected", *NEW]
    assert "results/data/pairs" in read_json("scored/pairs/mine/eval.provenance.json")["inputs"]
    score_bt.main(["--run_name", "dpo", "--tag", "mine", "--process_all_splits", "--score_model_id", model, *CPU])
    run = pq.read_table("scored/dpo/mine/eval.parquet")
    assert run["chosen"].to_pylist() == ["That.", "So."] and run["rejected"].to_pylist() == ["That.", "So."]
    assert run["chosen_score"].to_pylist() == run["rejected_score"].to_pylist()
    assert run["chosen_score"].to_pylist() == pytest.approx(scored["chosen_score"].to_pylist()[::-1], abs=1e-5)


def test_the_published_command_scores_what_is_on_the_hub(model, folder, monkeypatch):
    asked = []

    def load_dataset(path, name, split, revision):
        asked.append(path)
        return datasets.DatasetDict({"train": datasets.Dataset(PAIRS)})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    published = ["--run_name", "small", "--tag", "theirs", "--namespace", "team", "--score_model_id", model, *CPU]
    score_bt.main([*published, "--split", "default"])
    assert asked == ["team/theirs-small"]
    assert pq.read_table("scored/small/theirs/train.parquet").column_names == ["prompt", "chosen", "rejected", *NEW]
    with pytest.raises(InputError, match="team/theirs-small: there is no split 'test'; there are train"):
        score_bt.main([*published, "--split", "test"])


def test_default_is_the_only_split(tmp_path):
    pq.write_table(PAIRS, tmp_path / "test.parquet")
    assert list(read_splits(str(tmp_path), "default")) == ["test"]
    pq.write_table(PAIRS, tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"it has several splits, test, train; name one with --split, or all with"):
        read_splits(str(tmp_path), "default")
    assert list(read_splits(str(tmp_path), None)) == ["test", "train"]
    assert list(read_splits({"eval": PAIRS}, "default")) == list(read_splits({"eval": PAIRS}, None)) == ["eval"]
    with pytest.raises(InputError, match="there is no split 'train'; there are eval"):
        read_splits({"eval": PAIRS}, "train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run_name", "pairs", "--split", "default"], "give that too"),
        (["--run_name", "pairs", "--dataset", "x", "--split", "default"], "not allowed with"),
        (["--split", "default"], "one of the arguments --dataset --run_name is required"),
    ],
)
def test_a_dataset_is_named_in_one_way(arguments, message, capsys):
    with pytest.raises(SystemExit):
        score_bt.main([*arguments, "--score_model_id", "x"])
    assert message in capsys.readouterr().err
