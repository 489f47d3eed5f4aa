"""Wrong input ends before, or at, the stage that it concerns: exit code 1, what is wrong by its name, no result."""

import re

import pandas as pd
import pytest


def add(**task):
    return lambda config: config["tasks"].append(task)


# what is wrong: a change of the config, and what the message must say
WRONG = {
    "a misspelt key": (
        lambda config: config.update(seed=config.pop("seeds")),
        ["config: seed: unknown key (did you mean 'seeds'?)", "seeds:"],
    ),
    "a misspelt key of a task": (
        add(method="dpr", gama=[0.3]),
        ["config: tasks[6].gama: unknown key (did you mean 'gamma'?)", "gamma:"],
    ),
    "no tasks": (lambda config: config.pop("tasks"), ["config: tasks: missing", "tasks:"]),
    "shares above one": (
        add(method="mix", r=0.5, p=0.4, g=0.3),
        ["config: tasks[6].g: r + p + g = 0.5 + 0.4 + 0.3 = 1.2", "at most 1"],
    ),
    "beta of zero": (
        add(method="dpo", beta=[0.5, 0]),
        ["config: tasks[6].beta[1]: it must be a number greater than 0, not 0", "beta:"],
    ),
    "an unknown dataset": (
        lambda config: config.update(datasets=["smal"]),
        ["config: datasets[0]: there is no dataset 'smal' (did you mean 'small'?)", "datasets:"],
    ),
    "an unknown run to publish": (
        lambda config: config.update(publish={"runs": ["dpo-beta0.2"]}),
        ["config: publish.runs[0]: there is no run 'dpo-beta0.2' (did you mean 'dpo-beta0.1'?)", "runs:"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_config_is_refused_at_once(fresh, case):
    change, messages = WRONG[case]
    fresh.configure(change)
    output = fresh.snakemake(code=1)
    for message in messages:
        assert message in output
    assert "This would be right, for example:" in output
    assert "Job stats" not in output and "Traceback" not in output
    assert fresh.files("results") == {".gitkeep"}


def rows(count=20):
    return [{"prompt": f"question {i}", "chosen": f"yes {i}", "rejected": f"no {i}"} for i in range(count)]


def plain(path, **keys):
    return {"source": "plain", "path": str(path), "eval_share": 0.2, "reward_model": "tiny", "judge": "reward"} | keys


@pytest.fixture(scope="module")
def bad_data(tmp_path_factory):
    """Datasets with one fault each: {name: (entry, words that the log of their preparation must have)}."""
    folder = tmp_path_factory.mktemp("bad")
    table = pd.DataFrame(rows())
    table.rename(columns={"rejected": "refused"}).to_parquet(folder / "column.parquet")
    (folder / "none.parquet").write_text("prompt,chosen,rejected\n")
    table.assign(rejected=[*table["rejected"][:7], None, *table["rejected"][8:]]).to_parquet(folder / "null.parquet")
    table.assign(chosen="").to_parquet(folder / "blank.parquet")
    (folder / "split").mkdir()
    table.to_parquet(folder / "split/train.parquet")
    table[:0].to_parquet(folder / "split/test.parquet")
    own_eval = {"splits": {"train": "train", "eval": "test"}, "eval_share": None}
    return {
        "no-column": (
            plain(folder / "column.parquet"),
            ["column.parquet", "no column 'rejected'", "it has", "refused"],
        ),
        "no-parquet": (plain(folder / "none.parquet"), ["none.parquet", "not a readable parquet file"]),
        "null-response": (plain(folder / "null.parquet"), ["null.parquet", "column 'rejected'", "row 7"]),
        "blank-responses": (
            plain(folder / "blank.parquet"),
            ["blank.parquet", "column 'chosen'", "row 0", "is empty"],
        ),
        "empty-split": (plain(folder / "split", **own_eval), ["empty-split", "split 'test' has no rows"]),
        "no-file": (plain(folder / "nowhere.parquet"), ["nowhere.parquet", "there is no such file"]),
    }


def test_bad_data_ends_its_preparation(fresh, bad_data):
    entries = {name: {k: v for k, v in entry.items() if v is not None} for name, (entry, _) in bad_data.items()}

    def change(config):
        config["datasets"] = list(entries)
        config["definitions"]["datasets"] = entries

    fresh.configure(change)
    output = fresh.snakemake("--keep-going", code=1)
    assert len(re.findall(r"^Error in rule prepare_data:$", output, re.MULTILINE)) == len(bad_data)
    assert len(re.findall(r"^Error in rule", output, re.MULTILINE)) == len(bad_data)
    for name, (_, words) in bad_data.items():
        log = (fresh.folder / f"results/logs/prepare_data/{name}.log").read_text(encoding="utf-8")
        assert log.startswith("error: ") and log.count("\n") == 1, log
        for word in words:
            assert word in log
        assert not (fresh.folder / f"results/data/{name}").exists() or not fresh.files(f"results/data/{name}")
    kinds = {path.split("/")[0] for path in fresh.files("results")}
    assert kinds == {".gitkeep", "logs", "specs"}


def test_a_single_empty_response_is_refused_by_file_column_and_row(fresh, tmp_path):
    table = pd.DataFrame(rows())
    table.loc[3, "chosen"] = "  "
    table.to_parquet(tmp_path / "rows.parquet")

    def change(config):
        config["datasets"] = ["mine"]
        config["definitions"]["datasets"] = {"mine": plain(tmp_path / "rows.parquet")}

    fresh.configure(change)
    fresh.snakemake("results/data/mine/card.json", code=1)
    log = (fresh.folder / "results/logs/prepare_data/mine.log").read_text(encoding="utf-8")
    assert "rows.parquet: column 'chosen': row 3 (the first is 0) is empty" in log
    assert not fresh.files("results/data/mine")


def test_a_result_that_was_spoilt_ends_the_stage_that_reads_it(copied):
    """Responses whose column was lost: the judge says so, and no verdict replaces the old one."""
    run = "small/tiny/dpo-beta0.1/seed1"
    responses = copied.folder / f"results/responses/{run}/eval.parquet"
    pd.read_parquet(responses).drop(columns="response").to_parquet(responses)
    verdicts = f"results/verdicts/{run}/eval-vs-chosen.parquet"
    output = copied.snakemake(verdicts, code=1)
    assert "Error in rule judge_responses" in output
    log = (copied.folder / f"results/logs/judge_responses/{run}/eval-vs-chosen.log").read_text(encoding="utf-8")
    assert "eval.parquet: no column 'response'" in log
    assert not (copied.folder / verdicts).exists()
