"""Which responses supervised fine-tuning is on."""

import pytest
from fixtures_chain import DEVICE, arguments_of
from fixtures_training import FRAME, TRAINING

import train_sft
from pipeline.jobs.io import InputError, write_parquet, write_yaml
from pipeline.training import running


@pytest.fixture
def examples(base, tmp_path, monkeypatch):
    """A function from `responses`, and further rows, to the texts that are trained on."""
    made = []
    monkeypatch.setattr(running, "run_training", lambda name, make, *others: made.append(make(str(tmp_path / "made"))))
    write_parquet(FRAME.head(5), tmp_path / "train.parquet")
    write_parquet(FRAME.tail(3).drop(columns="prompt_id"), tmp_path / "unlabelled.parquet")

    def examples(responses, *further):
        spec = {"dataset": "mine", "model": {"name": "tiny", "path": base, "adapter": "none"}}
        write_yaml(spec | {"sft": TRAINING | {"responses": responses}}, tmp_path / "sft.yaml")
        given = {"spec": tmp_path / "sft.yaml", "data": tmp_path / "train.parquet", "output_dir": tmp_path / "out"}
        train_sft.main([*arguments_of(given | {name: tmp_path / f"{name}.parquet" for name in further}), *DEVICE])
        trainer = made.pop()
        decode = lambda ids: trainer.processing_class.decode(ids, skip_special_tokens=True).strip()  # noqa: E731
        return [decode([token for token in row["labels"] if token != -100]) for row in trainer.train_dataset]

    return examples


def test_it_is_on_the_chosen_ones_on_both_or_on_those_of_unlabelled_rows_too(examples):
    labelled, aside = FRAME.head(5), FRAME.tail(3)
    assert examples("chosen") == labelled["chosen"].tolist()
    assert examples("both") == [*labelled["chosen"], *labelled["rejected"]]
    assert examples("all") == examples("both")
    whole = [*labelled["chosen"], *aside["chosen"], *labelled["rejected"], *aside["rejected"]]
    assert examples("all", "unlabelled") == whole
    with pytest.raises(InputError, match="--unlabelled needs responses: all"):
        examples("both", "unlabelled")
