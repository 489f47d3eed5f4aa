"""Reward functions in TRL's convention: what they are given, coroutines, and several of them as one."""

import asyncio
import logging
import threading
from functools import partial

import pytest
from datasets import Dataset
from transformers import TrainerState
from trl.rewards import get_repetition_penalty_reward, get_soft_overlong_punishment, think_format_reward

from plugin.tiny import reward, rows
from plugin.training import logged
from sail.objective import DPP, DPR
from sail.rewards import RewardFunctions, reward_function

PROMPTS, COMPLETIONS, IDS = ["a", "b", "c"], ["x", "yy", "zzz"], [[1], [2, 2], [3, 3, 3]]


def ask(functions, weights=None, **given):
    return RewardFunctions(functions, weights)(prompts=PROMPTS, completions=COMPLETIONS, completion_ids=IDS, **given)


def length(completions, **columns):
    return [len(completion) for completion in completions]


async def late_length(completions, **columns):
    await asyncio.sleep(0.01)
    return [10.0 * len(completion) for completion in completions]


class Late:
    async def __call__(self, prompts, **columns):
        return [1.0] * len(prompts)


def test_functions_get_prompts_completions_ids_and_the_columns_by_name():
    seen = {}

    def spy(**given):
        seen.update(given)
        return [0.0] * 3

    state = TrainerState(global_step=4)
    assert ask([spy], trainer_state=state, answer=[1, 2, 3]) == [0.0] * 3
    assert seen == {"prompts": PROMPTS, "completions": COMPLETIONS, "completion_ids": IDS} | {
        "trainer_state": state,
        "answer": [1, 2, 3],
    }


def test_the_functions_of_trl_work():
    """A function of the tokens, one of the texts of messages."""
    assert ask([get_soft_overlong_punishment(max_completion_len=3, soft_punish_cache=2)]) == [0.0, -0.5, -1.0]
    assert ask([get_repetition_penalty_reward(ngram_size=1)]) == pytest.approx([0.0, -0.5, -2 / 3])
    thoughts = [[{"role": "assistant", "content": text}] for text in ("<think>\nso\n</think>\nyes", "yes")]
    given = {"prompts": ["a", "b"], "completions": thoughts, "completion_ids": [[1], [2]]}
    assert RewardFunctions([think_format_reward])(**given) == [1.0, 0.0]


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 1.0], [2.0, 0.5, -1.0]])
def test_several_functions_are_their_weighted_sum_coroutines_among_them(weights):
    one, two, three = weights or [1.0, 1.0, 1.0]
    expected = [one * n + two * 10 * n + three for n in (1, 2, 3)]
    assert ask([length, late_length, Late()], weights) == pytest.approx(expected)


def test_coroutines_run_side_by_side_in_one_loop_for_all_calls():
    arrived, loops = threading.Barrier(2), set()

    async def meet(prompts, **columns):
        loops.add(asyncio.get_running_loop())
        await asyncio.to_thread(arrived.wait, 10)  # one alone would wait in vain
        return [1.0] * len(prompts)

    functions = RewardFunctions([meet, partial(meet)])
    for _ in range(2):
        assert functions(prompts=PROMPTS, completions=COMPLETIONS) == [2.0] * 3
    assert len(loops) == 1


def test_a_function_that_does_not_apply_is_left_out_of_the_sum(caplog):
    def first_alone(prompts, **columns):
        return [5.0, None, None]

    def second_too(prompts, **columns):
        return [1.0, 2.0, None]

    with caplog.at_level(logging.WARNING, logger="sail.rewards"):
        assert ask([first_alone, second_too], [1.0, 3.0]) == [8.0, 6.0, None]
    assert "No reward function applies to 1 of 3 completions; the first is 'zzz' of 'c'" in caplog.text


def test_means_of_several_functions_and_their_own_metrics_are_logged():
    found = []

    def spoken(completions, log_metric=None, **columns):
        log_metric("words", 3.0)
        return [None, 1.0, 2.0]

    ask([length], log_metric=lambda *given: found.append(given))
    assert found == []
    ask([length, spoken], log_metric=lambda *given: found.append(given))
    assert found == [("words", 3.0), ("rewards/length/mean", 2.0), ("rewards/spoken/mean", 1.5)]


@pytest.mark.parametrize(
    ("functions", "weights", "message"),
    [
        ([], None, "reward_funcs is empty"),
        ([length, late_length], [1.0], "reward_weights has 1 weights for 2 reward functions: give one for each"),
        ([lambda **given: [1.0, 2.0]], None, "the reward function <lambda> gave 2 rewards for 3 completions"),
        ([length, lambda **given: [1.0, float("nan"), 0.0]], None, "<lambda> gave nan for the completion 'yy' of 'b'"),
    ],
)
def test_what_is_refused(functions, weights, message):
    with pytest.raises(ValueError, match=message):
        ask(functions, weights)


def test_tokenizers_belong_to_functions(tokenizer):
    with pytest.raises(ValueError, match="reward_processing_classes has 1 entries for 2 reward functions"):
        reward_function([length, late_length], tokenizer, "cpu")
    assert reward_function([length, late_length], [None, tokenizer], "cpu").names == ["length", "late_length"]


def test_a_run_takes_a_weighted_list_with_a_coroutine(sail_trainer):
    steps = []

    async def as_trl_has_it(completions, completion_ids, trainer_state, row, **columns):
        steps.append(trainer_state.global_step)
        assert len(completions) == len(completion_ids) == len(row)
        return [float(len(ids)) for ids in completion_ids]

    data = Dataset.from_list([row | {"row": i} for i, row in enumerate(rows(64))])
    functions = [reward, as_trl_has_it, get_soft_overlong_punishment(6, 3)]
    trainer = sail_trainer(data, g=0.5, reward_funcs=functions, reward_weights=[0.0, 1.0, 0.5], max_steps=3)
    trainer.train()
    assert steps[0] == 0 and max(steps) > 0
    assert {"rewards/reward/mean", "rewards/as_trl_has_it/mean"} <= set().union(*trainer.state.log_history)
    trainer._refill()
    for pair in trainer.pool.pairs:
        punished = [min(0.0, (3 - len(ids)) / 3) for ids in pair.response_ids]
        lengths = [len(ids) for ids in pair.response_ids]
        assert pair.rewards == pytest.approx([n + 0.5 * p for n, p in zip(lengths, punished, strict=True)])


def test_pairs_that_no_function_applies_to_are_no_dpr_rows(sail_trainer):
    def some(completions, **columns):
        return [None if i % 6 == 0 else 1.0 * len(text) for i, text in enumerate(completions)]

    trainer = sail_trainer(g=0.5, p=0.2, reward_funcs=some, rollout_prompts=9)
    trainer._refill()
    pairs = list(trainer.pool.pairs)
    assert [pair.rewards is None for pair in pairs] == [True, False, False] * 3
    assert [pair.preferred is None for pair in pairs] == [True, False, False] * 3
    assert trainer._next_pair(DPR) is pairs[1] and trainer._next_pair(DPR) is pairs[2]
    assert trainer._next_pair(DPP) is pairs[3]
    trainer.train()
    assert sum(logged(trainer, "sail/rows_dpr")) > 0
