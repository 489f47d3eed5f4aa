"""Publishing: the cards of repositories, and uploads by the hub's real client to a stand-in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from fixtures_data import plain, write_jsonl
from fixtures_data import row as pair
from fixtures_endpoint import Answer, Endpoint
from fixtures_hub import TOKEN, USER, stand_in_hub, telltale_hub
from fixtures_results import DPO, DPR, build_results
from huggingface_hub import constants
from safetensors.numpy import save_file

import publish_results
from pipeline.data import preparation
from pipeline.jobs.io import (
    InputError,
    file_hash,
    read_json,
    read_parquet,
    write_csv,
    write_json,
    write_parquet,
    write_yaml,
)
from pipeline.publishing.cards import hub_id, make_card
from pipeline.publishing.hub import publish
from pipeline.publishing.token import require_token
from pipeline.results.caveats import CAVEATS
from pipeline.results.run_table import read_run_table
from pipeline.results.tables import read_table, winrate_table
from pipeline.rewards.files import checkpoint_folder

SCRIPTS = Path(publish_results.__file__).parent


@pytest.fixture
def hub(monkeypatch):
    """The stand-in, to which the client of this process talks."""
    with stand_in_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with a prepared and scored dataset, checkpoints, their specs, a win-rate table and a report."""
    folder = tmp_path_factory.mktemp("results")
    data = plain(write_jsonl(folder / "rows.jsonl", [pair(number) for number in range(40)]), limit=30)
    write_yaml(data, folder / "data.yaml")
    preparation.prepare(data, folder / "data", 1)
    for split in ("train", "eval"):
        frame = read_parquet(folder / "data" / f"{split}.parquet")
        scores = frame.assign(chosen_score=1.0, rejected_score=0.0, bt_prob=0.731)
        write_parquet(scores, folder / "scored" / f"{split}.parquet")
        measured = {"split": split, "pairs": len(scores), "accuracy": {"value": 0.75, "low": 0.5, "high": 1.0}}
        measured["brier"] = {"value": 0.2, "low": 0.1, "high": 0.3}
        write_json(measured, folder / "calibration" / f"{split}.json")
    write_csv(winrate_table(read_run_table(build_results(folder / "runs")), resamples=50), folder / "winrate.csv")
    (folder / "report.html").write_text("<!doctype html><title>Report</title>", encoding="utf-8")
    entry = {"name": "W1M", "path": "Qwen/Qwen1.5-0.5B", "adapter": "lora"}
    hyperparameters = {"beta": 0.1, "g": 0.3, "learning_rate": 0.0003}
    spec = {"dataset": "world", "model": entry, "run": DPR, "method": "dpr", "hyperparameters": hyperparameters}
    write_yaml(spec, folder / "policy.yaml")
    model = folder / "model"
    model.mkdir()
    save_file({"weight": pd.Series(range(1000)).to_numpy(dtype="float32")}, model / "model.safetensors")
    (model / "config.json").write_text('{"model_type": "qwen2"}')
    (model / "README.md").write_text("[More Information Needed]")
    (model / ".hidden").write_text("")
    return folder


def dataset_publication(results, **changes):
    files = {f"data/{split}.parquet": str(results / f"data/{split}.parquet") for split in ("train", "eval")}
    files |= {f"scored/{split}.parquet": str(results / f"scored/{split}.parquet") for split in ("train", "eval")}
    measured = [str(results / f"calibration/{split}.json") for split in ("train", "eval")]
    records = {"data": str(results / "data.yaml"), "card": str(results / "data/card.json"), "calibration": measured}
    spec = {"kind": "dataset", "repo_type": "dataset", "name": "pairs", "private": True, "of": {"dataset": "mine"}}
    return {**spec, "files": files, "records": records, "reward_model": "rm", **changes}


def policy_publication(results, **changes):
    records = {"spec": "policy.yaml", "data": "data.yaml", "winrate": "winrate.csv"}
    records = {name: str(results / path) for name, path in records.items()}
    of = {"dataset": "world", "model": "W1M", "run": DPR, "seed": 1}
    spec = {"kind": "policy", "repo_type": "model", "name": "policy", "private": True, "of": of, "judge": "gold"}
    return {**spec, "files": {}, "folder": str(results / "model"), "records": records, **changes}


def report_publication(results, **changes):
    files = {"index.html": str(results / "report.html"), "winrate.csv": str(results / "winrate.csv")}
    spec = {"kind": "report", "repo_type": "space", "name": "report", "private": False, "of": {"tag": "mine"}}
    return {**spec, "files": files, **changes}


def test_a_dataset_is_uploaded_as_parquet_with_its_card(hub, results):
    record = publish(dataset_publication(results, license="mit"), TOKEN)
    repo = hub.repos[f"datasets/{USER}/pairs"]
    assert repo.private and record["repo_id"] == f"{USER}/pairs" and record["uploaded"] and record["commit"] == repo.sha
    for path, source in dataset_publication(results)["files"].items():
        assert repo.files[path] == Path(source).read_bytes() and path in repo.large
        assert record["files"][path] == file_hash(Path(source))
    card = repo.card()
    assert card["license"] == "mit"
    assert {config["config_name"]: [file["path"] for file in config["data_files"]] for config in card["configs"]} == {
        "default": ["data/train.parquet", "data/eval.parquet"],
        "scored": ["scored/train.parquet", "scored/eval.parquet"],
    }
    counts = read_json(results / "data/card.json")
    text = repo.text("README.md")
    assert f"| train | {counts['splits']['train']} |" in text and "| not_sampled | 10 |" in text
    assert "75.0% | [50.0, 100.0] | 0.200 |" in text
    assert str(results) not in text, "a local path is in the card"


def test_a_policys_card_has_method_data_hyperparameters_and_the_measured_win_rate(hub, results):
    publish(policy_publication(results, namespace="team"), TOKEN)
    repo = hub.repos["models/team/policy"]
    assert sorted(repo.files) == [".gitattributes", "README.md", "config.json", "model.safetensors"]
    text, card = repo.text("README.md"), repo.card()
    assert "More Information Needed" not in text
    assert (
        card["base_model"] == "Qwen/Qwen1.5-0.5B" and card["library_name"] == "transformers" and "dpr" in card["tags"]
    )
    assert "SAIL's DPR" in text and "| beta | 0.1 |" in text and "| learning_rate | 0.0003 |" in text
    table = read_table(results / "winrate.csv")
    rows = table[table["run"] == DPR].to_dict("records")
    assert [row["baseline"] for row in rows] == ["chosen", DPO]
    for row in rows:
        interval = f"[{row['win_rate_low']:.1f}, {row['win_rate_high']:.1f}]"
        assert f"| {row['win_rate']:.1f} | {interval} |" in text
    measured = card["model-index"][0]["results"][0]["metrics"]
    assert [metric["value"] for metric in measured] == [row["win_rate"] for row in rows]
    assert f"over the seeds\n{rows[0]['seeds']};" in text and "by the judge gold" in text
    assert "What these numbers rest on:\n\n- fewer than 100 prompts\n" in text
    assert all(metric["name"].endswith(", on fewer than 100 prompts)") for metric in measured)


@pytest.mark.parametrize("caveat", CAVEATS, ids=lambda caveat: caveat.name)
def test_a_card_says_what_its_win_rates_rest_on_and_how_they_were_decoded(results, tmp_path, caveat):
    table = pd.read_csv(results / "winrate.csv")
    both = pd.concat([table.assign(decoding=name, caveats=caveat.name) for name in ("sample", "greedy")])
    both.to_csv(tmp_path / "winrate.csv", index=False)
    publication = policy_publication(results)
    publication["records"]["winrate"] = str(tmp_path / "winrate.csv")
    card = make_card(publication, "me/policy")
    assert f"- {caveat.reason}\n" in card and "| decoding | against |" in card
    assert card.count("| greedy | ") == card.count("| sample | ") == 2
    metadata = yaml.safe_load(card.split("---\n")[1])
    names = [metric["name"] for metric in metadata["model-index"][0]["results"][0]["metrics"]]
    assert len(names) == 4 and all(name.endswith(f", {caveat.words})") for name in names)
    assert ["decoding greedy" in name for name in names] == [False, False, True, True]


def test_a_card_has_the_win_rates_on_sets_of_prompts(results, tmp_path):
    table = pd.read_csv(results / "winrate.csv")
    mine = table.assign(set="asked", baseline=table["baseline"].replace("chosen", "check"), win_rate=71.0)
    whole = pd.concat([table.assign(set="eval"), mine, mine.assign(set="all")[mine["baseline"] == DPO]])
    whole.to_csv(tmp_path / "winrate.csv", index=False)
    publication = policy_publication(results)
    publication["records"]["winrate"] = str(tmp_path / "winrate.csv")
    card = make_card(publication, "me/policy")
    own, beside = card.split("On other prompts")
    assert own.count("| 71.0 |") == 0 and beside.count("| 71.0 |") == 3
    assert "| asked | a check (share of right answers) | 71.0 |" in beside and f"| all | {DPO} | 71.0 |" in beside
    [found] = yaml.safe_load(card.split("---\n")[1])["model-index"]
    names = [(result["dataset"]["name"], len(result["metrics"])) for result in found["results"]]
    assert names == [("mine", 2), ("asked", 2)]


def test_an_adapter_is_published_as_one(hub, results, tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen1.5-0.5B"}')
    save_file({"lora": pd.Series([1.0]).to_numpy(dtype="float32")}, tmp_path / "adapter_model.safetensors")
    publish(policy_publication(results, folder=str(tmp_path)), TOKEN)
    repo = hub.repos[f"models/{USER}/policy"]
    assert repo.card()["library_name"] == "peft" and "AutoPeftModelForCausalLM" in repo.text("README.md")


def test_the_report_is_a_static_space(hub, results):
    publish(report_publication(results), TOKEN)
    repo = hub.repos[f"spaces/{USER}/report"]
    assert repo.sdk == "static" and not repo.private
    assert repo.card()["sdk"] == "static" and repo.card()["app_file"] == "index.html"
    assert repo.files["index.html"] == (results / "report.html").read_bytes()


@pytest.mark.parametrize("publication", [dataset_publication, policy_publication, report_publication])
def test_a_second_call_uploads_nothing(hub, results, publication):
    first = publish(publication(results), TOKEN)
    sent, before = list(hub.uploads), len(hub.requests)
    second = publish(publication(results), TOKEN)
    later = hub.requests[before:]
    assert not second["uploaded"] and second["files"] == first["files"] and second["commit"] == first["commit"]
    assert hub.uploads == sent and hub.commits() == 1
    assert not [request for request in later if "commit" in request or "preupload" in request or "batch" in request]


def test_an_interrupted_upload_goes_on(hub, results):
    hub.refuse_commits = True
    with pytest.raises(InputError, match=f"dataset pairs at {hub.url}: .*403"):
        publish(dataset_publication(results), TOKEN)
    sent = list(hub.uploads)
    assert len(sent) == 4 and hub.commits() == 0
    hub.refuse_commits = False
    assert publish(dataset_publication(results), TOKEN)["uploaded"]
    assert hub.uploads == sent and hub.commits() == 1


def test_what_changed_is_uploaded_and_what_is_gone_is_deleted(hub, results, tmp_path):
    publish(dataset_publication(results), TOKEN)
    sent = len(hub.uploads)
    changed = dataset_publication(results)
    del changed["files"]["scored/eval.parquet"]
    frame = read_parquet(changed["files"]["data/train.parquet"])
    write_parquet(frame[1:], tmp_path / "train.parquet")
    changed["files"]["data/train.parquet"] = str(tmp_path / "train.parquet")
    publish(changed, TOKEN)
    repo = hub.repos[f"datasets/{USER}/pairs"]
    assert len(hub.uploads) == sent + 1 and len(repo.commits) == 2
    assert "scored/eval.parquet" not in repo.files and ".gitattributes" in repo.files
    assert repo.files["data/train.parquet"] == (tmp_path / "train.parquet").read_bytes()


@pytest.mark.parametrize("private", [True, False])
def test_another_visibility_on_the_hub_is_refused_before_anything_is_uploaded(hub, results, private):
    publish(report_publication(results, private=not private), TOKEN)
    sent = len(hub.requests)
    with pytest.raises(InputError, match=f"is {'public' if private else 'private'} on the hub, but"):
        publish(dataset_publication(results, repo_type="space", name="report", private=private), TOKEN)
    assert not [request for request in hub.requests[sent:] if "preupload" in request or "commit" in request]


def test_a_missing_file_is_named_before_anything_is_uploaded(hub, results):
    with pytest.raises(InputError, match=r"nowhere\.html: there is no such file"):
        publish(report_publication(results, files={"index.html": str(results / "nowhere.html")}), TOKEN)
    assert hub.commits() == 0


def test_a_wrong_token_is_said_without_it(hub, results):
    with pytest.raises(InputError, match=r"report at .*401") as error:
        publish(report_publication(results), "hf_wrongwrongwrong")
    assert "wrongwrong" not in str(error.value)


def test_a_hub_that_is_not_there_is_named(hub, results, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"space report at http://127\.0\.0\.1:9: "):
        publish(report_publication(results), TOKEN)


def test_local_paths_are_no_hub_ids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/hh").mkdir(parents=True)
    assert hub_id("openbmb/UltraFeedback") == "openbmb/UltraFeedback"
    assert hub_id("data/hh") is hub_id("/data/hh") is hub_id(str(tmp_path)) is hub_id("") is None


def test_a_token_is_needed(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"HF_TOKEN is not set: .* or as a line HF_TOKEN=… into a file \.env"):
        require_token(tmp_path)
    (tmp_path / ".env").write_text("HF_TOKEN=from-the-file\n")
    assert require_token(tmp_path) == "from-the-file"
    monkeypatch.setenv("HF_TOKEN", "from-the-environment")
    assert require_token(tmp_path) == "from-the-environment"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
        require_token(tmp_path)


def call_script(folder, *arguments, **environment):
    kept = {name: value for name, value in os.environ.items() if "OFFLINE" not in name and name != "HF_TOKEN"}
    command = [sys.executable, str(SCRIPTS / "publish_results.py"), "--spec", "spec.yaml", *arguments]
    options = {"cwd": folder, "env": kept | {"HF_HUB_DISABLE_XET": "1"} | environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def test_the_script_takes_the_token_from_env_file_and_writes_a_record(results, tmp_path):
    write_yaml(policy_publication(results), tmp_path / "spec.yaml")
    refused = call_script(tmp_path, "--output", "record.json")
    assert refused.returncode == 1 and refused.stderr.startswith("error: HF_TOKEN is not set")
    assert not (tmp_path / "record.json").exists()
    (tmp_path / ".env").write_text(f"HF_TOKEN={TOKEN}\n")
    with stand_in_hub() as hub:
        done = call_script(tmp_path, "--output", "record.json", HF_ENDPOINT=hub.url)
        assert done.returncode == 0, done.stderr
        again = call_script(tmp_path, "--output", "again.json", HF_ENDPOINT=hub.url)
        assert hub.commits() == 1
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["url"] == f"{hub.url}/{USER}/policy" and set(record["files"]) == {
        *("README.md", "config.json", "model.safetensors")
    }
    assert "the hub has all 3 files, nothing is uploaded" in again.stdout
    for text in (refused, done, again):
        assert TOKEN not in text.stdout + text.stderr


def test_a_hub_that_repeats_the_token_does_not_make_the_script_tell_it(results, tmp_path):
    write_yaml(report_publication(results), tmp_path / "spec.yaml")
    (tmp_path / ".env").write_text(f"HF_TOKEN={TOKEN}\n")
    with telltale_hub() as address:
        refused = call_script(tmp_path, "--output", "record.json", HF_ENDPOINT=address)
    assert refused.returncode == 1 and "refused: Bearer [secret]" in refused.stderr
    assert TOKEN not in refused.stdout + refused.stderr and not (tmp_path / "record.json").exists()


def test_a_publication_can_be_looked_at_without_a_token(results, tmp_path):
    write_yaml(report_publication(results, namespace="team"), tmp_path / "spec.yaml")
    assert call_script(tmp_path, "--stage", "staged").returncode == 0
    assert sorted(path.name for path in (tmp_path / "staged").iterdir()) == ["README.md", "index.html", "winrate.csv"]
    assert yaml.safe_load((tmp_path / "staged/README.md").read_text().split("---\n")[1])["sdk"] == "static"


@pytest.mark.parametrize("answer", [b"{}", b"null", b"[]", b"", b"<html>Sign in</html>"])
def test_an_address_that_is_no_hub_is_one_line(results, tmp_path, monkeypatch, answer):
    with Endpoint(lambda call: Answer(answer)) as server:
        address = server.url.removesuffix("/v1")
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        with pytest.raises(InputError, match=rf"space team/.* at {address}: "):
            publish(report_publication(results, namespace="team"), TOKEN)
        spec = {"revision": "main"}
        with pytest.raises(InputError, match="owner/name: the reward model cannot be had"):
            checkpoint_folder("owner/name", spec)
