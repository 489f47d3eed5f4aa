"""Pairs without a preference: DDP rows are these and no others, and a resumed training takes the next ones."""

import pytest
from datasets import Dataset, IterableDataset

from plugin.tiny import rows
from plugin.training import COLUMNS, completions_of, logged, spy_on_batches
from sail import SAILConfig, SAILTrainer
from sail.objective import DDP

LABELLED = rows(24)
ASIDE = [row for row in rows(60, seed=1) if row["prompt"] not in {row["prompt"] for row in LABELLED}]


@pytest.fixture
def trainer(make, checkpoint, tokenizer, tmp_path, without_cards):
    """A SAILTrainer with unlabelled pairs; changed arguments by keyword."""
    from plugin.training import ARGUMENTS, ROLLOUTS

    def trainer(unlabelled=ASIDE, data=LABELLED, **changes):
        aside = Dataset.from_list(unlabelled) if isinstance(unlabelled, list) else unlabelled
        return SAILTrainer(
            model=str(checkpoint),
            args=SAILConfig(output_dir=str(tmp_path), **ROLLOUTS | ARGUMENTS | changes),
            train_dataset=Dataset.from_list(data),
            processing_class=tokenizer,
            unlabelled_dataset=aside,
        )

    return trainer


def texts(batch, row, tokenizer):
    """Prompt, chosen and rejected of a row as text."""
    return tuple(tokenizer.decode(ids, skip_special_tokens=True) for ids in completions_of(batch, row))


def seen_by_route(trainer, tokenizer):
    """Train; the rows of all batches, {whether routed to DDP: [texts]}."""
    seen = {True: [], False: []}
    terms = trainer._online_terms

    def online_terms(inputs, routes, *others):
        for row, route in enumerate(routes.tolist()):
            seen[route == DDP].append(texts(inputs, row, tokenizer))
        return terms(inputs, routes, *others)

    trainer._online_terms = online_terms
    trainer.train()
    return seen


def as_texts(data):
    return {(row["prompt"], row["chosen"], row["rejected"]) for row in data}


@pytest.mark.parametrize("changes", [{"r": 0.5}, {"r": 0.4, "p": 0.3}, {"r": 0.5, "loss_type": ["ipo"], "rho": 0.0}])
def test_ddp_rows_are_the_unlabelled_pairs_and_the_others_are_not(trainer, tokenizer, changes):
    online = trainer(**changes)
    seen = seen_by_route(online, tokenizer)
    assert len(seen[True]) > 5 and len(seen[False]) > 5
    both = {(prompt, *sorted(pair)) for prompt, *pair in as_texts(ASIDE)}
    assert {(prompt, *sorted(pair)) for prompt, *pair in seen[True]} <= both
    prompts = {row["prompt"] for row in ASIDE}
    assert not {row[0] for row in seen[False]} & prompts
    assert len(set(seen[True])) == min(len(seen[True]), len(ASIDE))  # none twice in the first pass
    assert online._unlabelled_drawn == len(seen[True])


def test_the_order_of_the_two_responses_changes_nothing(trainer):
    swapped = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in ASIDE]
    one, other = trainer(r=0.5), trainer(swapped, r=0.5)
    one.train(), other.train()
    for name in ("loss", "grad_norm"):
        assert logged(one, name) == pytest.approx(logged(other, name), rel=1e-3)
    assert logged(one, "sail/dpo_loss") != logged(other, "sail/dpo_loss")


def test_reference_columns_are_read_or_computed(trainer):
    given = trainer(
        [row | dict.fromkeys(COLUMNS, -3.0) for row in ASIDE],
        [row | dict.fromkeys(COLUMNS, -2.0) for row in LABELLED],
        r=0.5,
    )
    batches = spy_on_batches(given)
    given.train()
    for batch in batches:
        assert [value == -3 for value in batch.after[COLUMNS[0]].tolist()] == (batch.routes == DDP).tolist()
    plain = trainer(r=0.5)
    batches = spy_on_batches(plain)
    plain.train()
    computed = [value for batch in batches for value in batch.after[COLUMNS[1]].tolist()]
    assert len(set(computed)) > 20 and max(computed) < 0


def test_a_resumed_training_takes_the_next_pairs(trainer, tokenizer, tmp_path):
    whole = trainer(r=0.5, max_steps=4, save_strategy="steps", save_steps=2)
    seen = seen_by_route(whole, tokenizer)
    again = trainer(r=0.5, max_steps=4)
    again._load_state(whole._state() | {"unlabelled_drawn": 3})
    row = again.unlabelled_dataset[next(again._unlabelled_rows)]
    assert tokenizer.decode(row["prompt_ids"], skip_special_tokens=True) == seen[True][3][0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r": 0.0}, "is for DDP rows: set r above 0"),
        ({"unlabelled": [], "r": 0.5}, "at least one row"),
        ({"unlabelled": IterableDataset.from_generator(lambda: iter(ASIDE)), "r": 0.5}, "must be a Dataset"),
        ({"unlabelled": [row | dict.fromkeys(COLUMNS, -1.0) for row in ASIDE], "r": 0.5}, "or neither"),
    ],
)
def test_what_cannot_be_meant_is_refused(trainer, changes, message):
    with pytest.raises(ValueError, match=message):
        trainer(**changes)
