"""A run with Weights & Biases, a paid judge and publishing, with keys that must be nowhere afterwards."""

import base64
import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
import yaml
from fixtures_endpoint import Endpoint, completion, error
from fixtures_hub import TOKEN, USER, stand_in_hub, telltale_hub
from fixtures_wandb import offline_files, read_offline_run

from workflow.snakemake_copy import Job, Workflow

pytestmark = pytest.mark.slow

ENVIRONMENT = {"OPENAI_API_KEY": "sk-canary-of-the-environment-1", "WANDB_API_KEY": "4canary4" * 5}
FILE = {"HF_TOKEN": "hf_canaryOfTheFileCanaryOfTheFile12", "MY_OWN_API_KEY": "canary-of-another-service-1234"}
KEYS = [*ENVIRONMENT.values(), *FILE.values(), TOKEN]


def with_keys(workflow, **more):
    """The environment of this process with the keys, and online as far as the hub's client is concerned.

    Whatever a library writes into the home folder or the one for temporary files is within the workflow's.
    """
    unset = {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    places = {name: str(workflow.folder / name.lower()) for name in ("HOME", "TMPDIR")}
    for place in places.values():
        Path(place).mkdir(exist_ok=True)
    caches = {name: str(workflow.folder / "home" / name.lower()) for name in ("XDG_CACHE_HOME", "HF_HOME")}
    return mock.patch.dict(os.environ, ENVIRONMENT | unset | places | caches | more)


def recorded_and_smaller(config: dict) -> None:
    """SFT, DPO, and the method that samples and asks the reward model."""
    config["tasks"] = [task for task in config["tasks"] if task["method"] in ("sft", "dpo", "dpr")]
    config["wandb"] = True


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """The workflow after a run with `wandb: true`, keys in the environment and in .env; what it printed."""
    workflow = Workflow.new(tmp_path_factory.mktemp("services") / "tracked")
    workflow.configure(recorded_and_smaller)
    (workflow.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in FILE.items()))
    with with_keys(workflow):
        return workflow, [workflow.snakemake()]


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what they hold compressed."""
    data = path.read_bytes()
    yield data
    if path.suffix == ".parquet":
        yield json.dumps(pd.read_parquet(path).to_dict("list"), default=str, ensure_ascii=False).encode()
    elif path.suffix == ".html":
        for chunk in re.findall(rb'<script type="application/gzip"[^>]*>([^<]*)<', data):
            yield gzip.decompress(base64.b64decode(chunk))


def found_in(folder: Path) -> list[tuple[str, str]]:
    """Files below a folder that hold a key, in whatever form."""
    forms = [(key, form) for key in KEYS for form in (key.encode(), key.encode("utf-16-le"))]
    return [
        (path.relative_to(folder).as_posix(), key)
        for path in folder.rglob("*")
        if path.is_file() and path != folder / ".env"
        for data in contents(path)
        for key, form in forms
        if form in data
    ]


def test_a_key_is_found_where_it_is_compressed(tmp_path):
    """So that the tests below would fail if there were one."""
    key = ENVIRONMENT["OPENAI_API_KEY"]
    pd.DataFrame({"response": ["a" * 99, f"my key is {key}"]}).to_parquet(tmp_path / "a.parquet", compression="zstd")
    chunk = base64.b64encode(gzip.compress(f"my key is {key}".encode())).decode()
    (tmp_path / "b.html").write_text(f'<script type="application/gzip" id="chunk-0">{chunk}</script>')
    assert {name for name, _ in found_in(tmp_path)} == {"a.parquet", "b.html"}


def test_the_plan_is_told_at_the_start(tracked):
    output = tracked[1][0]
    start = output.split("Config small on device cpu (CPU")[1].splitlines()
    assert "2 train_policy" in start[0] and "1 render_report" in start[0]
    assert re.match(r"About .* on \d+ cores, a guess by usual speeds of a CPU", start[1])
    lines = "\n".join(start[:12])
    for part in (
        "  what methods share, ",
        "  dpr: its trainings, ",
        "of disk, ",
        "With 1 seed and 32 prompts a method shows",
    ):
        assert part in lines, part
    assert output.count("Config small on device") == 1


@pytest.mark.exhaustive
def test_the_next_run_knows_how_long_it_takes(tracked, tmp_path):
    workflow = tracked[0].copy(tmp_path / "copied")
    (workflow.folder / "results/cost.csv").unlink()
    assert "by the times of earlier jobs" in workflow.snakemake()


def test_logs_have_lines_and_no_control_characters(tracked):
    logs = tracked[0].folder / "results/logs"
    for path in logs.rglob("*.log"):
        text = path.read_text(encoding="utf-8")
        assert "\r" not in text and "\x1b" not in text, path
    trained = (logs / "train_policy/small/tiny/dpo-beta0.1/seed1.log").read_text(encoding="utf-8")
    assert "step 10/10" in trained and "s left" in trained


def test_every_training_and_the_win_rates_are_recorded(tracked):
    folder = tracked[0].folder
    runs = [read_offline_run(path) for path in offline_files(folder)]
    assert {run.project for run in runs} == {"sail-small"} and all(run.exit_code == 0 for run in runs)
    kinds = [run.job_type for run in runs]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        **{"train_sft": 1, "train_reward": 1, "train_policy": 2, "winrate": 1}
    }
    for run in (run for run in runs if run.job_type == "train_policy"):
        curve = pd.read_parquet(folder / f"results/policies/{run.name}/metrics.parquet")
        [loss] = curve.loc[curve["metric"] == "loss", "value"]
        assert run.summary["train/loss"] == pytest.approx(loss)
        assert run.config["hyperparameters"]["max_steps"] == 10 and run.config["seed"] == 1
    [rates] = [run for run in runs if run.job_type == "winrate"]
    for row in pd.read_csv(folder / "results/winrate.csv").to_dict("records"):
        place = f"{row['dataset']}/{row['model']}/{row['run']}/{row['baseline']}"
        for name in ("win_rate", "win_rate_low", "win_rate_high"):
            assert rates.summary[f"{place}/{name}"] == pytest.approx(row[name])


def test_recording_changes_no_result(tracked, finished):
    recorded = tracked[0].folder / "results"
    made = [path for path in sorted(recorded.rglob("*")) if path.suffix in (".parquet", ".safetensors")]
    assert len([path for path in made if path.suffix == ".safetensors"]) == 4
    for path in made:
        assert (finished.folder / "results" / path.relative_to(recorded)).read_bytes() == path.read_bytes(), path


def test_recording_makes_nothing_stale(tracked, copied):
    off = tracked[0].copy(copied.folder.parent / "off")
    off.configure(lambda config: config.pop("wandb"))
    assert off.plan() == set()
    copied.configure(lambda config: config.update(wandb=True))
    assert copied.plan() == {Job("track_winrates", ()), Job("all", ())}


def test_everything_is_published_once(tracked, tmp_path):
    workflow = tracked[0].copy(tmp_path / "published")
    workflow.configure(lambda config: config.update(publish={"prefix": "x-", "public": ["report"]}))
    with stand_in_hub() as hub, with_keys(workflow, HF_TOKEN=TOKEN, HF_ENDPOINT=hub.url):
        policies = workflow.folder / "results/policies/small/tiny"
        told = [workflow.snakemake("publish", environment={"HF_HUB_OFFLINE": "0"})]
        assert set(hub.repos) == {
            *(f"datasets/{USER}/x-small", f"models/{USER}/x-small-tiny-sft", f"models/{USER}/x-small-tiny-reward"),
            *(f"models/{USER}/x-small-tiny-{path.name}-seed1" for path in policies.iterdir()),
            f"spaces/{USER}/x-report",
        }
        assert {key.split("/")[0] for key, repo in hub.repos.items() if not repo.private} == {"spaces"}
        asked, commits = len(hub.requests), hub.commits()
        assert commits == len(hub.repos)
        told.append(workflow.snakemake("publish", environment={"HF_HUB_OFFLINE": "0"}))
        assert "Nothing to be done" in told[1] and len(hub.requests) == asked
        # without its records it asks the hub, which has it all
        for path in (workflow.folder / "results/published").rglob("*.json"):
            path.unlink()
        told.append(workflow.snakemake("publish", environment={"HF_HUB_OFFLINE": "0"}))
        assert hub.commits() == commits and len(hub.requests) > asked
        rate = pd.read_csv(workflow.folder / "results/winrate.csv").set_index(["run", "baseline"])
        row = rate.loc[("dpo-beta0.1", "chosen")]
        card = hub.repos[f"models/{USER}/x-small-tiny-dpo-beta0.1-seed1"].text("README.md")
        assert f"| {row['win_rate']:.1f} | [{row['win_rate_low']:.1f}, {row['win_rate_high']:.1f}] |" in card
    assert found_in(workflow.folder) == []
    assert not [key for key in KEYS for text in told if key in text]


def test_publishing_needs_a_token_and_says_so_before_any_job(tracked, tmp_path):
    workflow = tracked[0].copy(tmp_path / "copied")
    (workflow.folder / ".env").unlink()
    with with_keys(workflow, HF_TOKEN=""):
        output = workflow.snakemake("publish", code=1, environment={"HF_HUB_OFFLINE": "0"})
    assert "HF_TOKEN is not set" in output and not (workflow.folder / "results/published").exists()
    with with_keys(workflow, HF_TOKEN=TOKEN):
        assert "HF_HUB_OFFLINE is set" in workflow.snakemake("publish", code=1)


def test_no_key_is_in_anything_that_was_written(tracked, tmp_path):
    """Also where publishing fails: a wrong token, no server, and one that repeats the token in its answer."""
    workflow, outputs = tracked[0].copy(tmp_path / "copied"), list(tracked[1])
    with stand_in_hub() as hub, telltale_hub() as telltale:
        for address in (hub.url, "http://127.0.0.1:9", telltale):
            with with_keys(workflow, HF_ENDPOINT=address):
                output = workflow.snakemake(
                    *("publish", "--keep-going", "--show-failed-logs"), code=1, environment={"HF_HUB_OFFLINE": "0"}
                )
            assert "error: dataset small-small at" in output
            outputs.append(output)
    assert "refused: Bearer [secret]" in outputs[-1]
    assert found_in(workflow.folder) == []
    assert not [key for key in KEYS for text in outputs if key in text]


def test_a_judge_that_repeats_the_key_it_was_sent_puts_it_nowhere(tracked, tmp_path):
    """Neither in its errors nor in replies, which are kept whole and shown in the report."""
    workflow, asked = tracked[0].copy(tmp_path / "copied"), []
    folder = workflow.folder / "config/judges/mine"
    folder.mkdir()
    shutil.copy2(workflow.folder / "config/judges/PP/prompt.txt", folder)

    def tell(call):
        asked.append(call.headers["authorization"])
        if len(asked) % 20 == 1:
            return error(500, f"you sent {asked[-1]}")
        return completion(json.dumps({"reasons": f"You sent {asked[-1]}.", "score_a": 3, "score_b": 4}))

    with Endpoint(tell) as server, with_keys(workflow):
        judge = {"kind": "openai", "model": "judge-1", "base_url": server.url, "backoff_seconds": 0.01}
        (folder / "judge.yaml").write_text(yaml.safe_dump(judge))
        workflow.configure(lambda config: config.update(judge="mine"))
        output = workflow.snakemake()
    assert set(asked) == {f"Bearer {ENVIRONMENT['OPENAI_API_KEY']}"} and len(asked) > 300
    page = b"".join(contents(workflow.folder / "results/report.html"))
    assert b"You sent Bearer [secret]." in page
    assert found_in(workflow.folder) == [] and not [key for key in KEYS if key in output]


def test_a_config_with_a_key_is_refused_without_showing_it(tracked, tmp_path):
    workflow = tracked[0].copy(tmp_path / "copied")
    workflow.configure(lambda config: config["definitions"]["models"]["tiny"].update(plain_template=FILE["HF_TOKEN"]))
    with with_keys(workflow):
        output = workflow.snakemake("--dry-run", code=1)
    assert "definitions.models.tiny.plain_template: it looks like a secret of the environment or of .env" in output
    assert FILE["HF_TOKEN"] not in output
