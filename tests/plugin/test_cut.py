"""Responses that were cut before their end: counted, punished, or left out of training."""

import logging

import pytest

from plugin.tiny import weights
from plugin.training import assert_same_weights, history, logged
from sail import SAILConfig
from sail.objective import DPR
from sail.rewards import RewardFunctions
from sail.rollouts import RolloutPair, RolloutPool, add_rewards


def ends(trainer):
    """Whether each response of a trainer's pool ends by itself, pair by pair."""
    return [[ids[-1] == 1 for ids in pair.response_ids] for pair in trainer.pool.pairs]


def test_a_response_without_an_end_is_cut_and_the_share_of_them_logged(sail_trainer):
    trainer = sail_trainer(g=0.5, rollout_prompts=48, max_steps=1, rollout_max_new_tokens=12)
    trainer._refill()
    found = ends(trainer)
    assert [list(pair.cut) for pair in trainer.pool.pairs] == [[not end for end in pair] for pair in found]
    share = sum(not end for pair in found for end in pair) / 96
    assert 0 < share < 1 and trainer._metrics["train"]["sail/cut"] == [share]
    trainer.train()
    assert logged(trainer, "sail/cut")


def test_every_token_that_ends_a_response_counts_as_its_end(sail_trainer, checkpoint):
    trainer = sail_trainer(p=0.5, rollout_prompts=24)
    trainer.model.generation_config.eos_token_id = [1, *range(40, 150)]
    trainer._refill()
    last = [ids[-1] for pair in trainer.pool.pairs for ids in pair.response_ids]
    cut = [one for pair in trainer.pool.pairs for one in pair.cut]
    assert cut == [token not in {1, *range(40, 150)} for token in last]
    assert any(40 <= token < 150 for token in last)


def test_a_response_that_max_length_cuts_has_no_end(sail_trainer):
    trainer = sail_trainer(p=0.5, rollout_prompts=48, rollout_max_new_tokens=40, max_length=12)
    trainer._refill()
    pairs = list(trainer.pool.pairs)
    for pair in pairs:
        for ids, cut in zip(pair.response_ids, pair.cut, strict=True):
            assert cut == (ids[-1] != 1) and (not cut or len(pair.prompt_ids) + len(ids) == 12)
    assert any(any(pair.cut) for pair in pairs)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_penalty_is_taken_off_the_reward_of_what_was_cut(tokenizer, reverse):
    pairs = [RolloutPair([2], ([5, 5], [6, 1]), 0, cut=(True, False)), RolloutPair([2], ([5, 1], [6, 1]), 0)]
    functions = RewardFunctions([lambda completion_ids, **given: [float(ids[0]) for ids in completion_ids]])
    rows = [{"prompt": "a"}, {"prompt": "b"}]
    add_rewards(pairs, rows, tokenizer, functions, reverse, missing_eos_penalty=3.0)
    sign = -1 if reverse else 1
    assert [pair.rewards for pair in pairs] == [(sign * 5.0 - 3.0, sign * 6.0), (sign * 5.0, sign * 6.0)]


def test_a_penalty_turns_the_labels_of_a_run(sail_trainer):
    pools = []
    for penalty in (None, 1000.0):
        trainer = sail_trainer(g=0.5, rollout_prompts=48, rollout_max_new_tokens=12, missing_eos_penalty=penalty)
        trainer._refill()
        pools.append(list(trainer.pool.pairs))
    assert [pair.response_ids for pair in pools[0]] == [pair.response_ids for pair in pools[1]]
    mixed = [(free, fined) for free, fined in zip(*pools, strict=True) if sum(fined.cut) == 1]
    assert any(free.preferred != fined.preferred for free, fined in mixed)
    assert all(not fined.cut[fined.preferred] for _, fined in mixed)


def test_pairs_with_a_cut_response_stand_for_no_row(sail_trainer):
    trainer = sail_trainer(g=0.5, rollout_prompts=48, rollout_max_new_tokens=12, mask_truncated_completions=True)
    trainer._refill()
    assert 0 < len(trainer.pool.pairs) < 48 and all(all(pair) for pair in ends(trainer))
    trainer.train()
    assert sum(logged(trainer, "sail/rows_dpr")) > 0


def test_where_all_are_cut_the_rows_stay_the_dataset_s(sail_trainer, caplog):
    options = {"rollout_max_new_tokens": 1, "mask_truncated_completions": True}
    trainer = sail_trainer(g=0.5, **options)
    trainer._end_tokens = lambda: [9999]
    with caplog.at_level(logging.WARNING, logger="sail.sampling"):
        assert trainer._next_pair(DPR) is None
    assert "left none of 6 pairs" in caplog.text and "(now 1)" in caplog.text


def test_ranks_that_fill_their_pools_together_do_not_wait_for_pairs_without_end(sail_trainer):
    trainer = sail_trainer(p=0.5, mask_truncated_completions=True, rollout_max_new_tokens=1)
    trainer._end_tokens = lambda: [9999]
    trainer._together = True
    trainer._refill_together(4)
    assert len(trainer.pool) == 0 and len(trainer._metrics["train"]["sail/cut"]) == 1


def test_a_checkpoint_of_an_older_trainer_is_gone_on_from():
    pool = RolloutPool(max_age=8)
    pool.extend([RolloutPair([2], ([5], [6, 1]), 0, cut=(True, False))])
    state = pool.state_dict()
    other = RolloutPool(max_age=8)
    other.load_state_dict(state)
    assert other.take().cut == (True, False)
    other.load_state_dict([{key: value for key, value in state[0].items() if key != "cut"}])
    assert other.take().cut == (False, False)


def test_with_neither_nothing_of_a_run_changes(sail_trainer):
    """A penalty where nothing is cut, and no mask: the weights and the log of a run without them."""
    runs = []
    for changes in ({}, {"missing_eos_penalty": 5.0, "mask_truncated_completions": True}):
        trainer = sail_trainer(g=0.5, p=0.2, max_steps=3, **changes)
        trainer._end_tokens = lambda: list(range(1, 300))
        trainer.train()
        runs.append((weights(trainer), history(trainer)))
    assert_same_weights(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"g": 0.5, "missing_eos_penalty": 0.0}, "missing_eos_penalty must be a number above 0, or None, not 0.0"),
        ({"g": 0.5, "missing_eos_penalty": float("nan")}, "missing_eos_penalty must be a number above 0"),
        ({"p": 0.5, "missing_eos_penalty": 1.0}, "missing_eos_penalty changes the rewards that DPR labels by: set g"),
        ({"reward_weights": [1.0]}, "reward_weights changes the rewards that DPR labels by: set g above 0"),
        ({"g": 0.5, "reward_weights": [float("inf")]}, "reward_weights must be finite numbers, not inf"),
        ({"r": 0.5, "mask_truncated_completions": True}, "mask_truncated_completions is for sampled pairs: set p or g"),
    ],
)
def test_what_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        SAILConfig(str(tmp_path), use_cpu=True, bf16=False, **changes)
