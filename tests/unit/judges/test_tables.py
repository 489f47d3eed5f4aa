"""Verdicts: by prompt, never by position; ties are halves; a judge is not asked what it does not know."""

import math

import numpy as np
import pandas as pd
import pytest
from fixtures_models import llama_tokenizer, save_headed

import judge_responses
from pipeline.columns.verdicts import VERDICT_COLUMNS
from pipeline.data.world import POLITE_OPENINGS, all_prompts, gold_score
from pipeline.jobs.io import InputError, read_parquet, write_parquet, write_yaml
from pipeline.judge_kinds.gold.judge import gold
from pipeline.judge_kinds.reward.judge import reward_scorer
from pipeline.judges.tables import check_scores, judge_by_score, pair_responses

PROMPTS = all_prompts()[:6]
POLITE = POLITE_OPENINGS[0]


def responses_of(texts, prompts=PROMPTS) -> pd.DataFrame:
    rows = zip((f"id{i}" for i in range(len(texts))), prompts, texts, strict=False)
    return pd.DataFrame(rows, columns=["prompt_id", "prompt", "response"])


def baseline_of(texts) -> pd.DataFrame:
    return responses_of(texts).rename(columns={"response": "baseline_response"})[["prompt_id", "baseline_response"]]


def length(prompts, responses):
    return [len(response) for response in responses]


def verdicts(responses, baseline, scorer=length):
    return judge_by_score(pair_responses(responses, baseline), scorer, "judge", "model", "dpr", 2, "chosen")


def test_verdicts_by_hand():
    table = verdicts(responses_of(["aaa", "a", "aa", ""]), baseline_of(["aa", "aa", "bb", ""]))
    assert list(table.columns) == VERDICT_COLUMNS
    assert table["preference"].tolist() == [1.0, 0.0, 0.5, 0.5]
    assert table["score_run"].tolist() == [3, 1, 2, 0] and table["score_baseline"].tolist() == [2, 2, 2, 0]
    assert table["len_run"].tolist() == [3, 1, 2, 0] and table["len_baseline"].tolist() == [2, 2, 2, 0]
    assert table.dtypes[["preference", "score_run", "score_baseline"]].eq("float64").all()
    assert table.dtypes[["seed", "len_run", "len_baseline"]].eq("int64").all()
    same = table.drop(columns=["prompt_id", "preference", "score_run", "score_baseline", "len_run", "len_baseline"])
    expected = {"run": "dpr", "seed": 2, "baseline": "chosen", "order": "none", "judge": "judge"}
    assert same.iloc[0].to_dict() == expected | {"judge_model": "model", "request_key": "", "status": "parsed"}
    assert len(same.drop_duplicates()) == 1


def test_a_score_that_is_no_number_is_a_failure_and_no_loss():
    table = verdicts(
        responses_of(["a", "b", "c"]),
        baseline_of(["x", "y", "z"]),
        lambda _, texts: [{"a": math.nan, "z": math.inf, "c": math.inf}.get(text, 1.0) for text in texts],
    )
    assert table["status"].tolist() == ["failed", "parsed", "failed"]
    assert table["preference"].isna().tolist() == [True, False, True] and table["preference"][1] == 0.5


def test_rows_are_aligned_by_prompt_not_by_position():
    own, other = responses_of(["a", "bb", "ccc", "dddd"]), baseline_of(["bb", "bb", "bb", "bbbbb"])
    straight = verdicts(own, other)
    assert straight["preference"].tolist() == [0, 0.5, 1, 0]
    for seed in range(3):
        mixed = verdicts(own, other.sample(frac=1, random_state=seed))
        pd.testing.assert_frame_equal(mixed, straight)
        turned = own.sample(frac=1, random_state=seed)
        mixed = verdicts(turned, other)
        assert mixed["prompt_id"].tolist() == turned["prompt_id"].tolist()
        pd.testing.assert_frame_equal(mixed.sort_values("prompt_id", ignore_index=True), straight)


def test_more_baseline_responses_than_prompts_are_no_error():
    assert len(verdicts(responses_of(["a", "b"]), baseline_of(["x", "y", "z"]))) == 2


def test_missing_and_repeated_prompts_are_named():
    own, other = responses_of(["a", "b", "c"]), baseline_of(["x", "y", "z"])
    with pytest.raises(InputError, match="no response to 2 of the run's prompts, id1 the first"):
        pair_responses(own, other.iloc[:1])
    with pytest.raises(InputError, match="the baseline has prompt id2 twice"):
        pair_responses(own, pd.concat([other, other.iloc[2:]]))
    with pytest.raises(InputError, match="the run has prompt id0 twice"):
        pair_responses(pd.concat([own, own.iloc[:1]]), other)


def test_gold_scores_are_the_worlds():
    texts = [POLITE, "I hate this.", "", "A lemon is yellow.", "What?", "No."]
    assert gold(gold_score, PROMPTS, texts) == [
        gold_score(prompt, text) for prompt, text in zip(PROMPTS, texts, strict=True)
    ]


@pytest.mark.parametrize(
    "prompt", ["Who was the first king of Spain?", "", [{"role": "user", "content": PROMPTS[0]}], None]
)
def test_the_gold_judge_refuses_other_prompts(prompt):
    with pytest.raises(InputError, match="the gold judge knows the embedded world alone"):
        gold(gold_score, [PROMPTS[0], prompt], ["a", "b"])


# the script


@pytest.fixture
def judge(tmp_path):
    """Run judge_responses on frames; gives the verdicts."""

    def judge(kind, responses, other, baseline="dpo", *extra):
        write_yaml({"name": "J", "kind": kind}, tmp_path / "judge.yaml")
        write_parquet(responses, tmp_path / "responses.parquet")
        write_parquet(other, tmp_path / "other.parquet")
        files = {"spec": "judge.yaml", "responses": "responses.parquet", "baseline-responses": "other.parquet"}
        arguments = [part for name, file in files.items() for part in (f"--{name}", str(tmp_path / file))]
        arguments += ["--run", "dpr", "--seed", "3", "--baseline", baseline, "--output", str(tmp_path / "v.parquet")]
        judge_responses.main([*arguments, *extra])
        return read_parquet(tmp_path / "v.parquet")

    return judge


def test_the_gold_judge_from_the_command_line(judge, capsys):
    own, other = responses_of([POLITE, "x"]), responses_of(["x", POLITE]).iloc[::-1]
    table = judge("gold", own, other)
    scores = [gold_score(prompt, text) for prompt, text in zip(PROMPTS, [POLITE, "x"], strict=False)]
    assert table["score_run"].tolist() == scores and list(table.columns) == VERDICT_COLUMNS
    assert table["preference"].tolist() == [1, 0]
    assert table[["run", "seed", "baseline", "judge", "judge_model"]].drop_duplicates().values.tolist() == [
        ["dpr", 3, "dpo", "J", "gold"]
    ]
    assert "dpr against dpo: win rate 50.0%" in capsys.readouterr().out


def test_the_baseline_chosen_is_the_splits_column(judge):
    split = responses_of([POLITE, "x"]).rename(columns={"response": "chosen"}).assign(rejected="no")
    table = judge("gold", responses_of(["x", "x"]), split, "chosen")
    assert table["preference"].tolist() == [0, 0.5] and table["len_baseline"].tolist() == [len(POLITE), 1]
    split["chosen"] = [np.array([{"role": "assistant", "content": text}], dtype=object) for text in split["chosen"]]
    pd.testing.assert_frame_equal(judge("gold", responses_of(["x", "x"]), split, "chosen"), table)


def test_a_reward_model_as_a_judge(judge, tmp_path):
    folder = tmp_path / "reward"
    save_headed(folder, "LlamaForScore", "llama", llama_tokenizer())
    write_yaml({"name": "R", "reverse": True}, tmp_path / "reward.yaml")
    extra = ["--reward-spec", str(tmp_path / "reward.yaml"), "--reward-model", str(folder), "--device", "cpu"]
    own, other = responses_of(["It is red.", "Yes, yellow."]), responses_of(["Sure.", "Yes, yellow."])
    table = judge("reward", own, other, "dpo", *extra)
    scorer = reward_scorer(tmp_path / "reward.yaml", str(folder), "cpu")
    assert table["score_run"].tolist() == pytest.approx(scorer(PROMPTS[:2], own["response"].tolist()), abs=1e-5)
    assert table["preference"][0] == float(table["score_run"][0] > table["score_baseline"][0])
    assert table["preference"][1] == 0.5 and set(table["judge_model"]) == {str(folder)}


def test_scores_that_are_no_numbers_end_the_job(judge, tmp_path, monkeypatch):
    texts = ["a"] * 20
    own, other = responses_of(texts, PROMPTS * 4), responses_of(["b"] * 20, PROMPTS * 4)
    scores = {"a": math.nan}
    monkeypatch.setattr("pipeline.data.world.gold_score", lambda prompt, text: scores.get(text, 1.0))
    with pytest.raises(InputError, match=r"20 of 20 verdicts have a score that is no finite .* prompt id0 .* nan and"):
        judge("gold", own, other)
    assert not (tmp_path / "v.parquet").exists()
    own.loc[1:, "response"] = "c"
    assert judge("gold", own, other)["status"].tolist() == ["failed", *["parsed"] * 19]  # within max_failed_share
    own.loc[:1, "response"] = "a"
    with pytest.raises(InputError, match=r"2 of 20 .* max_failed_share 0\.05"):
        judge("gold", own, other)
    table = verdicts(own.iloc[:2], baseline_of(["b", "b"]), lambda prompts, texts: [math.nan] * len(texts))
    assert len(check_scores(table, {"max_failed_share": 1.0})) == 2


def test_what_the_script_cannot_do_is_an_error(judge):
    own = responses_of(["a"])
    with pytest.raises(InputError, match="there is no kind 'oracle'; there are gold, reward, openai and check"):
        judge("oracle", own, own)
    with pytest.raises(InputError, match="needs --service and --store"):
        judge("openai", own, own)
    with pytest.raises(InputError, match="needs --reward-spec and --reward-model"):
        judge("reward", own, own)
    with pytest.raises(InputError, match="no column 'chosen'"):
        judge("gold", own, own, "chosen")
    with pytest.raises(InputError, match="the gold judge knows"):
        judge("gold", own.assign(prompt="Who are you?"), own)
