"""The pairs that a tag and a name stand for: in results/, or on the hub."""

import pandas as pd
import pytest

from pipeline.jobs.io import InputError, write_parquet, write_yaml
from pipeline.publishing.lookup import find_pairs

RUN = "dpr-beta0.2"


def run_row(dataset, seeds=(1, 2)):
    place = f"results/responses/{dataset}/M/{RUN}"
    seeds = {seed: {"responses": f"{place}/seed{seed}/eval.parquet"} for seed in seeds}
    return {"dataset": dataset, "model": "M", "run": RUN, "method": "dpr", "baselines": ["chosen"], "seeds": seeds}


@pytest.fixture
def results(tmp_path):
    """Results of the tag `mine` with two datasets, one of dialogues."""
    folder = tmp_path / "results"
    rows = [run_row("texts"), run_row("dialogues", [1])]
    write_yaml(
        {"tag": "mine", "split": "eval", "baseline": RUN, "seeds": [1, 2], "runs": rows}, folder / "specs/runs.yaml"
    )
    ids = ["b", "a"]
    answer = [{"role": "assistant", "content": "It is."}]
    data = {"texts": ["Good.", "Well."], "dialogues": [answer, answer]}
    for row in rows:
        frame = {"prompt_id": ids, "prompt": ["Why?", "What?"], "chosen": data[row["dataset"]], "rejected": ["No", "-"]}
        write_parquet(pd.DataFrame(frame), folder / "data" / row["dataset"] / "eval.parquet")
        for seed in row["seeds"]:
            frame = {"prompt_id": ids[::-1], "prompt": ["What?", "Why?"], "response": [f"a{seed}", f"b{seed}"]}
            path = folder / f"responses/{row['dataset']}/M/{RUN}/seed{seed}/eval.parquet"
            write_parquet(pd.DataFrame(frame), path)
    return folder


def test_a_dataset_s_pairs_are_those_that_results_have(results):
    assert find_pairs("texts", "mine", results=results) == str(results / "data" / "texts")


def test_a_run_s_pairs_are_its_responses_against_the_chosen_ones(results):
    tables = find_pairs(f"texts/M/{RUN}", "mine", results=results)
    assert list(tables) == ["eval"]
    table = tables["eval"].to_pandas()
    assert table.columns.tolist() == ["dataset", "model", "seed", "prompt_id", "prompt", "chosen", "rejected"]
    texts = table
    assert set(texts["dataset"]) == {"texts"} and set(texts["model"]) == {"M"}
    assert texts["seed"].tolist() == [1, 1, 2, 2] and texts["chosen"].tolist() == ["a1", "b1", "a2", "b2"]
    assert texts["prompt"].tolist() == ["What?", "Why?"] * 2 and texts["rejected"].tolist() == ["Well.", "Good."] * 2


def test_of_several_places_one_can_be_named(results):
    table = find_pairs(f"dialogues/M/{RUN}", "mine", results=results)["eval"].to_pandas()
    assert set(table["dataset"]) == {"dialogues"} and table["rejected"][0][0]["content"] == "It is."
    with pytest.raises(InputError, match=f"texts and dialogues .* name one of texts/M/{RUN}, dialogues/M/{RUN}"):
        find_pairs(RUN, "mine", results=results)


def test_what_results_do_not_have_is_on_the_hub(results, tmp_path):
    assert find_pairs("other", "mine", "team", results) == "team/mine-other"
    assert find_pairs("texts", "theirs", "team", results) == "team/theirs-texts"  # these are of another tag
    assert find_pairs("texts", "theirs", "team", tmp_path / "nothing") == "team/theirs-texts"


def test_the_namespace_is_that_of_the_config(results):
    write_yaml({"namespace": "lab"}, results / "specs/publication/datasets/mine-other.yaml")
    assert find_pairs("other", "mine", results=results) == "lab/mine-other"
    with pytest.raises(InputError, match=r"has nothing of that tag and name.*give --namespace, or --dataset"):
        find_pairs("third", "mine", results=results)
