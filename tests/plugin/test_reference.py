"""Reference log-probabilities: from the dataset, or computed, with the same training either way."""

import math

import pytest
from datasets import Dataset

from plugin.tiny import rows, weights
from plugin.training import (
    COLUMNS,
    METHODS,
    assert_same_weights,
    logged,
    logps,
)
from sail import ReferenceColumnsDPOTrainer, SAILTrainer


def with_reference(trainer, data):
    """The data with the reference's log-probabilities, each computed on its own."""
    columns = [[], []]
    for row in trainer.train_dataset:
        for column, name in zip(columns, ("chosen_ids", "rejected_ids"), strict=True):
            column.append(logps(trainer.ref_model, None, row["prompt_ids"], row[name]))
    for name, column in zip(COLUMNS, columns, strict=True):
        data = data.add_column(name, column)
    return data


@pytest.mark.parametrize("shares", [{}, METHODS["ddp"], METHODS["mix"]], ids=["dpo", "ddp", "mix"])
def test_reference_columns_give_the_training_that_computing_them_does(sail_trainer, shares):
    plain = Dataset.from_list(rows(64))
    computed = sail_trainer(plain, **shares)
    precomputed = sail_trainer(with_reference(computed, plain), **shares)
    calls, reference = [], precomputed._reference_logps
    precomputed._reference_logps = lambda inputs: calls.append(inputs) or reference(inputs)
    computed.train()
    precomputed.train()
    assert all("ref_chosen_logps" not in inputs for inputs in calls), "only sampled pairs need the reference"
    assert bool(calls) == ("p" in shares)
    assert logged(precomputed, "loss") == pytest.approx(logged(computed, "loss"), rel=1e-3)
    assert_same_weights(weights(precomputed), weights(computed), rtol=2e-2, atol=2e-3)


def test_the_columns_are_used_as_they_are_without_a_reference_model(make):
    data = Dataset.from_list([row | {COLUMNS[0]: -3.0, COLUMNS[1]: -5.0} for row in rows(16)])
    trainer = make(ReferenceColumnsDPOTrainer, data, precompute_ref_log_probs=True, max_steps=1)
    assert trainer.ref_model is None
    trainer.train()
    (entry, *_) = trainer.state.log_history
    difference = 0.1 * (entry["logps/chosen"] - entry["logps/rejected"] - 2)
    assert entry["rewards/margins"] == pytest.approx(difference, rel=1e-4)


@pytest.mark.parametrize("shares", [{}, METHODS["ddp"], METHODS["dpp"]], ids=["dpo", "ddp", "dpp"])
@pytest.mark.parametrize(("train_columns", "eval_columns"), [(True, False), (False, True), (True, True)])
def test_train_and_eval_data_may_differ_in_having_the_columns(make, sail_trainer, train_columns, eval_columns, shares):
    """The evaluation of the untouched policy is log 2 however the reference comes by."""
    plain = Dataset.from_list(rows(16))
    computed = make(SAILTrainer, plain)
    full = with_reference(computed, plain)
    trainer = sail_trainer(
        full if train_columns else plain, eval_data=full if eval_columns else plain, max_steps=1, **shares
    )
    assert trainer.evaluate()["eval_loss"] == pytest.approx(math.log(2), abs=1e-5)
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < math.log(2) - 1e-3


def test_precomputing_the_reference_keeps_it_the_reference(sail_trainer):
    """Sampled pairs need the reference long after the dataset's log-probabilities are precomputed."""
    computed, asked = sail_trainer(p=0.5), sail_trainer(p=0.5, precompute_ref_log_probs=True)
    computed.train()
    asked.train()
    assert logged(asked, "loss") == pytest.approx(logged(computed, "loss"), rel=1e-3)
    assert logged(asked, "logps/chosen") == pytest.approx(logged(computed, "logps/chosen"), rel=1e-3)
