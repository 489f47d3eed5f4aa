"""What each published repository is made from."""

import pytest

from pipeline.plan.publications import publication_inputs, publication_spec
from pipeline.publishing.plan import repositories

CALIBRATION = [f"results/calibration/small/tiny/{split}.json" for split in ("train", "eval")]
DATA = {"data": "results/specs/data/small.yaml"}
POLICY = "results/policies/small/tiny/dpo-beta0.1/seed1"


@pytest.fixture
def publication(small):
    """A function from a kind to the spec of the small config's first repository of it."""

    def make(kind, **publish):
        plan = small(publish={"kinds": [kind], "runs": ["dpo-beta0.1"], **publish})
        return publication_spec(plan, next(iter(repositories(plan.settings).values())))

    return make


def test_a_checkpoint_is_its_folder_known_by_its_manifest(publication):
    spec = publication("policy", namespace="team", license="mit")
    records = DATA | {"winrate": "results/winrate.csv", "spec": "results/specs/policy/small/tiny/dpo-beta0.1.yaml"}
    assert spec == {
        "kind": "policy",
        "repo_type": "model",
        "name": "small-small-tiny-dpo-beta0.1-seed1",
        "namespace": "team",
        "license": "mit",
        "private": True,
        "of": {"dataset": "small", "model": "tiny", "run": "dpo-beta0.1", "seed": 1},
        "files": {},
        "folder": f"{POLICY}/model",
        "records": records,
        "judge": "gold",
    }
    assert publication_inputs(spec) == {"files": [], **records, "manifest": f"{POLICY}/manifest.json"}


def test_the_sft_model_and_the_reward_model(publication):
    sft = publication("sft")
    assert sft["folder"] == "results/sft/small/tiny/model" and sft["judge"] == "gold" and "namespace" not in sft
    assert sft["records"] == DATA | {"winrate": "results/winrate.csv", "spec": "results/specs/sft/small/tiny.yaml"}
    reward = publication("reward_model")
    assert reward["folder"] == "results/reward_models/small/tiny/model" and "judge" not in reward
    assert reward["records"] == DATA | {"spec": "results/specs/reward/tiny.yaml", "calibration": CALIBRATION}
    assert publication_inputs(reward)["manifest"] == "results/reward_models/small/tiny/manifest.json"


def test_a_dataset_is_its_splits_plain_and_scored(publication):
    spec = publication("dataset")
    files = {f"data/{split}.parquet": f"results/data/small/{split}.parquet" for split in ("train", "selection", "eval")}
    files |= {f"scored/{split}.parquet": f"results/bt/small/tiny/{split}.parquet" for split in ("train", "eval")}
    assert spec["files"] == files and spec["reward_model"] == "tiny" and "folder" not in spec
    assert spec["records"] == DATA | {"card": "results/data/small/card.json", "calibration": CALIBRATION}
    assert publication_inputs(spec) == {"files": list(files.values()), **spec["records"]}


def test_the_report_is_its_page_and_its_tables(publication):
    spec = publication("report", public=["report"])
    assert (spec["repo_type"], spec["private"]) == ("space", False)
    assert spec["files"] == {"index.html": "results/report.html"} | {
        f"{name}.csv": f"results/{name}.csv" for name in ("winrate", "cost")
    }
    assert publication_inputs(spec) == {"files": list(spec["files"].values())}
