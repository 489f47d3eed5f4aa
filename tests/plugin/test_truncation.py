"""Pairs that max_length cuts: what is trained on is what was sampled and rewarded."""

import pytest
import torch
from datasets import Dataset

from plugin.tiny import rows
from plugin.training import completions_of, spy_on_batches
from sail.objective import OFFLINE


@pytest.mark.parametrize("mode", ["keep_start", "keep_end"])
def test_a_pair_is_what_is_trained_on(sail_trainer, tokenizer, mode):
    """The reward sees what is left of a response, and the policy answers the prompt that is left."""
    scored = {}

    def score(prompts, completions, **columns):
        scored.update(dict.fromkeys(completions, 1))
        return [float(len(completion)) for completion in completions]

    longest = max(len(tokenizer(row["prompt"])["input_ids"]) for row in rows(64))
    trainer = sail_trainer(g=1.0, reward_funcs=score, rollout_prompts=64, truncation_mode=mode, max_length=longest + 3)
    seen = spy_on_batches(trainer)
    trainer._refill()
    pairs = list(trainer.pool.pairs)
    assert any(len(pair.prompt_ids) + len(ids) == longest + 3 for pair in pairs for ids in pair.response_ids)
    trainer.train()
    for batch in seen:
        for row in range(8):
            _, *responses = completions_of(batch.after, row)
            for ids in responses:
                assert tokenizer.decode(ids, skip_special_tokens=True) in scored
    longest_left = max(len(pair.prompt_ids) for pair in pairs)
    assert longest_left == (longest if mode == "keep_start" else longest - 3)


@pytest.mark.parametrize("mode", ["keep_start", "keep_end"])
def test_rows_beside_a_replaced_one_are_unchanged_where_they_are_cut(sail_trainer, mode):
    """Long and short responses beside each other, all rows longer than max_length."""
    data = Dataset.from_list(
        [
            row | {("chosen", "rejected")[i % 2]: " big" * 12, ("rejected", "chosen")[i % 2]: " cat" * 3}
            for i, row in enumerate(rows(32))
        ]
    )
    trainer = sail_trainer(data, p=0.4, truncation_mode=mode, max_length=14)
    seen = spy_on_batches(trainer)
    trainer.train()
    cut = 0
    for batch in seen:
        width = batch.before["input_ids"].size(1)
        for row in (row for row, route in enumerate(batch.routes.tolist()) if route == OFFLINE):
            for i in (row, row + 8):
                for name in ("input_ids", "attention_mask", "completion_mask"):
                    before, after = batch.before[name][i], batch.after[name][i]
                    length = int(batch.before["attention_mask"][i].sum())
                    cut += length == 14
                    assert torch.equal(before[:length], after[:length]), (name, width)
                assert int(batch.after["attention_mask"][i].sum()) == length
    assert cut
