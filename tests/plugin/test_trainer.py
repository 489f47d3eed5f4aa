"""The trainer against its parent, and what it does to the rows of a batch, on a tiny random Qwen2."""

import math
from collections import defaultdict

import pytest
import torch
from datasets import Dataset
from trl import DPOTrainer

import sail.answers
from plugin.tiny import rows, weights
from plugin.training import (
    ARGUMENTS,
    COLUMNS,
    METHODS,
    assert_same_weights,
    completions_of,
    history,
    logged,
    logps,
    spy_on_batches,
)
from sail import ReferenceColumnsDPOTrainer, SAILConfig, SAILTrainer
from sail.objective import DDP, DPP, DPR, OFFLINE

# with every new term off


@pytest.mark.parametrize("changes", [{}, {"activation_checkpointing": True, "gradient_accumulation_steps": 2}])
def test_without_routes_it_is_dpo_bit_for_bit(make, changes):
    evaluation = {"eval_data": Dataset.from_list(rows(8, seed=1)), "eval_strategy": "steps", "eval_steps": 2}
    dpo = make(DPOTrainer, **evaluation, **changes)
    dpo.train()
    online = make(SAILTrainer, **evaluation, **changes)
    before = weights(online)
    online.train()
    assert history(online) == history(dpo)
    assert len(logged(dpo, "loss")) == 4 and len(logged(dpo, "eval_loss")) == 2
    assert_same_weights(weights(online), weights(dpo))
    assert any(not torch.equal(before[name], value) for name, value in weights(online).items())


def test_data_order_mode_and_random_state_are_as_dpo_s(make, sail_trainer):
    def train(trainer):
        seen, modes = [], []
        loss = DPOTrainer.compute_loss if type(trainer) is DPOTrainer else SAILTrainer.compute_loss

        def compute_loss(model, inputs, *args, **kwargs):
            seen.append(inputs["input_ids"].clone())
            try:
                return loss(trainer, model, inputs, *args, **kwargs)
            finally:
                modes.append({module.training for module in trainer.model.modules()})

        trainer.compute_loss = compute_loss
        trainer.train()
        return seen, modes, torch.get_rng_state()

    def drawing(prompts, completions, **columns):
        return torch.rand(len(completions)).tolist()

    dpo = train(make(DPOTrainer, max_steps=10))
    online = train(sail_trainer(max_steps=10, reward_funcs=drawing, **METHODS["mix"]))
    assert len(dpo[0]) == len(online[0]) == 10, "more than one pass over the 64 rows"
    assert all(torch.equal(a, b) for a, b in zip(dpo[0], online[0], strict=True))
    assert dpo[1] == online[1] == [{True}] * 10
    assert torch.equal(dpo[2], online[2])


# the methods


@pytest.mark.parametrize("estimator", ["exact", "upstream"])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_and_logs(sail_trainer, method, estimator):
    shares = METHODS[method]
    trainer = sail_trainer(estimator=estimator, **shares)
    before = weights(trainer)
    trainer.train()
    after = weights(trainer)
    assert all(value.isfinite().all() for value in after.values())
    assert sum(not torch.equal(before[name], after[name]) for name in before) > len(before) / 2
    for share, name in (("r", "ddp"), ("p", "dpp"), ("g", "dpr")):
        assert (sum(logged(trainer, f"sail/rows_{name}")) > 0) == (share in shares)
    counts = [logged(trainer, f"sail/rows_{name}") for name in ("offline", "ddp", "dpp", "dpr")]
    assert [sum(step) for step in zip(*counts, strict=True)] == [8] * 4
    names = {"sail/dpo_loss", "sail/extra_loss", "sail/label_flips", "rewards/margins", "loss"}
    if "p" in shares or "g" in shares:
        names |= {"sail/age", "sail/identical", "sail/response_tokens", "sail/stale_pairs", "sail/reuse", "sail/kl"}
        names |= {"sail/rollouts_per_second"}
        assert trainer.rollout_seconds > 0
    if "g" in shares:
        names |= {"sail/reward", "sail/reward_ties", "sail/reward_preferred", "sail/reward_other"}
    for name in names:
        assert logged(trainer, name) and all(map(math.isfinite, logged(trainer, name))), name


def test_two_runs_are_equal_and_the_seed_matters(sail_trainer):
    def train(**changes):
        trainer = sail_trainer(**METHODS["mix"], **changes)
        trainer.train()
        return weights(trainer), history(trainer)

    one, two, other = train(), train(), train(seed=8)
    assert_same_weights(one[0], two[0])
    assert one[1] == two[1]
    assert one[1] != other[1]


def test_dpr_on_its_own_samples_follows_the_reward(sail_trainer):
    """Every row is sampled and labelled by the length of its text: as a reward it grows, as a cost it does not.

    Seeds 0 to 4 end with 9.3 to 10.4 characters against 6.6 to 7.5.
    """
    settings = {"max_steps": 25, "learning_rate": 3e-3, "beta": 0.3, "max_age": 0, "rollout_prompts": 8}
    ends = []
    for reverse in (False, True):
        trainer = sail_trainer(g=1.0, reverse=reverse, **settings)
        trainer.train()
        ends.append(abs(sum(logged(trainer, "sail/reward")[-5:]) / 5))
    assert ends[0] > 1.15 * ends[1]


# routes


def test_rows_are_routed_by_their_shares(sail_trainer):
    trainer = sail_trainer(r=0.1, p=0.2, g=0.3)
    routes = torch.cat([trainer._draw_routes(16) for _ in range(500)])
    for route, share in ((DDP, 0.1), (DPP, 0.2), (DPR, 0.3), (OFFLINE, 0.4)):
        error = math.sqrt(share * (1 - share) / len(routes))
        assert (routes == route).double().mean().item() == pytest.approx(share, abs=3.5 * error)


def test_a_share_of_one_routes_every_row(sail_trainer):
    for share, route in (("r", DDP), ("p", DPP), ("g", DPR)):
        assert (sail_trainer(**{share: 1.0})._draw_routes(500) == route).all()


def test_replaced_rows_keep_their_own_prompt_and_others_are_unchanged(sail_trainer, tokenizer, monkeypatch):
    """The sampled ids spell out the prompt that they answer, so that any shift of prompts would show."""
    asked, scored, trained_on = [], [], []

    def parent_loss(trainer, model, inputs, *args):
        trained_on.append(inputs)
        return DPOTrainer.compute_loss(trainer, model, inputs, *args)

    def answers(model, prompts, **settings):
        asked.extend(tuple(ids) for ids in prompts)
        assert not model.training and not torch.is_inference_mode_enabled()
        return [[*ids[:0:-1], 70 + i % 2, tokenizer.eos_token_id] for i, ids in enumerate(prompts)]

    def score(prompts, completions, **columns):
        scored.extend(zip(prompts, completions, columns["note"], strict=True))
        return [1.0 if "".join(completion.split()) else 0.0 for completion in completions]

    monkeypatch.setattr(sail.answers, "sample_responses", answers)
    monkeypatch.setattr(ReferenceColumnsDPOTrainer, "compute_loss", parent_loss, raising=False)
    data = Dataset.from_list([row | {"note": f"note on {row['prompt']}"} for row in rows(64)])
    trainer = sail_trainer(data, r=0.2, p=0.3, g=0.3, reward_funcs=score, max_age=0)
    seen = spy_on_batches(trainer)
    reference = {name: value.clone() for name, value in trainer.ref_model.state_dict().items()}
    trainer.train()

    counts = defaultdict(int)
    assert len(trained_on) == len(seen) and all(a is b.after for a, b in zip(trained_on, seen, strict=True))
    for batch in seen:
        assert torch.equal(batch.drawn, batch.routes)
        for row, route in enumerate(batch.routes.tolist()):
            counts[route] += 1
            prompt, chosen, rejected = completions_of(batch.after, row)
            if route in (OFFLINE, DDP):
                assert completions_of(batch.before, row) == (prompt, chosen, rejected)
                assert all(batch.after[name][row] == batch.before[name][row] for name in COLUMNS)
                continue
            spelt = [*prompt[:0:-1]]
            both = [[*spelt, 70, tokenizer.eos_token_id], [*spelt, 71, tokenizer.eos_token_id]]
            assert tuple(prompt) in asked and sorted([chosen, rejected]) == both
            if route == DPP:
                assert [chosen, rejected] == both
            for name, response in zip(COLUMNS, (chosen, rejected), strict=True):
                right = logps(trainer.ref_model, tokenizer, prompt, response)
                assert batch.after[name][row].item() == pytest.approx(right, rel=1e-4)
    assert all(counts[route] > 3 for route in (OFFLINE, DDP, DPP, DPR))

    # The reward sees texts, each beside its own prompt and that row's other columns.
    known = {row["prompt"] for row in data}
    for prompt, completion, note in scored:
        assert prompt in known and note == f"note on {prompt}"
        ids = tokenizer(prompt)["input_ids"]
        assert completion.startswith(tokenizer.decode(ids[:0:-1])) and "<|end|>" not in completion
    assert [prompt for prompt, _, _ in scored[::2]] == [prompt for prompt, _, _ in scored[1::2]]
    assert all(torch.equal(value, reference[name]) for name, value in trainer.ref_model.state_dict().items())


@pytest.mark.parametrize(("reverse", "best"), [(False, 71), (True, 70)])
def test_dpr_prefers_the_higher_reward_or_the_lower_cost(sail_trainer, tokenizer, monkeypatch, reverse, best):
    end = tokenizer.eos_token_id
    monkeypatch.setattr(
        sail.answers, "sample_responses", lambda model, prompts, **_: [[70 + i % 2, end] for i in range(len(prompts))]
    )

    def score(prompts, completions, **columns):
        return [float(completion == tokenizer.decode([71])) for completion in completions]

    trainer = sail_trainer(g=1.0, reward_funcs=score, reverse=reverse)
    seen = spy_on_batches(trainer)
    trainer.train()
    for batch in seen:
        assert [completions_of(batch.after, row)[1] for row in range(8)] == [[best, end]] * 8


def test_conversations_reach_the_reward_as_messages(sail_trainer):
    calls = []

    def score(prompts, completions, **columns):
        calls.append((prompts, completions))
        return [0.0] * len(completions)

    def turn(role, text):
        return [{"role": role, "content": text.strip()}]

    data = Dataset.from_list(
        [
            {"prompt": turn("user", row["prompt"]), **{k: turn("assistant", row[k]) for k in ("chosen", "rejected")}}
            for row in rows(16)
        ]
    )
    trainer = sail_trainer(data, g=0.5, reward_funcs=score)
    trainer.train()
    prompts, completions = calls[0]
    assert len(prompts) == len(completions) == 12
    assert prompts[0][0]["role"] == "user" and prompts[0] == prompts[1] != prompts[2]
    assert all(messages[0]["role"] == "assistant" for messages in completions)
    assert logged(trainer, "sail/reward_ties")[0] == 1.0


def test_pairs_are_used_in_order_and_never_beyond_their_age(sail_trainer):
    trainer = sail_trainer(p=0.5, max_age=1, rollout_prompts=16, max_steps=8)
    trainer.train()
    ages, stale = logged(trainer, "sail/age"), logged(trainer, "sail/stale_pairs")
    assert max(ages) <= 1 and any(ages) and sum(stale) > 0
    fresh = sail_trainer(p=0.5, max_age=0, rollout_prompts=16)
    fresh.train()
    assert set(logged(fresh, "sail/age")) == {0.0}


def test_a_pair_may_stand_for_several_rows(sail_trainer):
    once, thrice = (sail_trainer(p=1.0, max_steps=4, max_age=4, rollout_reuse=reuse) for reuse in (1, 3))
    seen = spy_on_batches(thrice)
    for trainer in (once, thrice):
        trainer.train()
    for batch in seen:  # rows of one pair have one number, by which the leave-one-out baseline tells them apart
        contents = [str(completions_of(batch.after, row)) for row in range(8)]
        numbers = batch.pairs.tolist()
        assert [contents.index(one) for one in contents] == [numbers.index(one) for one in numbers]
    assert len(set(seen[0].pairs.tolist())) == 6
    assert set(logged(once, "sail/reuse")) == {0.0}
    # six pairs a refill, eight rows a step: of the first step's rows six are first uses and two second ones
    assert logged(thrice, "sail/reuse") == [2 / 8, (4 * 1 + 4 * 2) / 8, (2 * 2) / 8, (6 * 1 + 2 * 2) / 8]
    assert [trainer._prompts_drawn for trainer in (once, thrice)] == [36, 12]


@pytest.mark.parametrize(
    ("estimator", "share", "route"),
    [("upstream", "p", OFFLINE), ("upstream", "g", OFFLINE), ("exact", "p", DPP), ("exact", "g", DPR)],
)
def test_identical_responses_stay_in_the_exact_estimator_only(
    sail_trainer, tokenizer, monkeypatch, estimator, share, route
):
    """Where the published estimator finds no usable pair, the row stays the offline row that it was."""
    end = tokenizer.eos_token_id
    monkeypatch.setattr(sail.answers, "sample_responses", lambda model, prompts, **_: [[70, end]] * len(prompts))
    trainer = sail_trainer(estimator=estimator, max_steps=2, **{share: 0.5})
    seen = spy_on_batches(trainer)
    trainer.train()
    routed = [(batch, row) for batch in seen for row in range(8) if batch.drawn[row] != OFFLINE]
    assert routed
    for batch, row in routed:
        assert batch.routes[row] == route
        if route == OFFLINE:
            assert completions_of(batch.after, row) == completions_of(batch.before, row)
        else:
            assert completions_of(batch.after, row)[1:] == ([70, end], [70, end])


# arguments


def test_dpr_without_a_reward_is_refused(sail_trainer):
    with pytest.raises(ValueError, match=r"g > 0 \(DPR\) needs a reward: pass reward_funcs, or set g=0"):
        sail_trainer(g=0.1, reward_funcs=None)


def test_a_reward_of_the_wrong_length_is_refused(sail_trainer):
    trainer = sail_trainer(g=1.0, reward_funcs=lambda prompts, completions, **_: [0.0])
    with pytest.raises(ValueError, match="the reward function gave 1 rewards for 12 completions"):
        trainer.train()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_refused(sail_trainer, value):
    trainer = sail_trainer(g=1.0, reward_funcs=lambda prompts, completions, **_: [0.0, value] * 6)
    with pytest.raises(ValueError, match=r"the reward function gave (nan|inf) for the completion .* of 'say "):
        trainer.train()


@pytest.mark.parametrize(
    ("changes", "epochs", "steps"),
    [
        ({"r": 0.1, "p": 0.1, "g": 0.3, "num_train_epochs": 2}, 4.0, 32),
        ({"r": 0.2, "num_train_epochs": 1}, 1.25, 10),
        ({"r": 0.0, "num_train_epochs": 2}, 2.0, 16),
    ],
)
def test_epochs_are_divided_by_the_share_of_offline_rows(sail_trainer, changes, epochs, steps):
    trainer = sail_trainer(max_steps=-1, **changes)
    assert trainer.args.num_train_epochs == pytest.approx(epochs)
    # 64 rows in batches of 8
    assert (
        trainer.get_train_dataloader()
        and trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())[-1] == steps
    )


def test_steps_are_not_scaled_and_the_caller_s_arguments_stay(checkpoint, tokenizer, tmp_path):
    args = SAILConfig(output_dir=str(tmp_path), **ARGUMENTS | {"max_steps": -1}, r=0.5)
    data = Dataset.from_list(rows(16))
    trainer = SAILTrainer(str(checkpoint), args=args, train_dataset=data, processing_class=tokenizer)
    assert (args.num_train_epochs, trainer.args.num_train_epochs) == (3.0, 6.0)
    args.max_steps = 5
    trainer = SAILTrainer(str(checkpoint), args=args, train_dataset=data, processing_class=tokenizer)
    assert (trainer.args.max_steps, trainer.args.num_train_epochs) == (5, 3.0)


def test_approximations_are_said_once(sail_trainer, caplog):
    sail_trainer(p=0.5, max_age=0)
    sail_trainer(p=0.5, max_age=3, estimator="upstream")
    sail_trainer(r=0.5, max_age=3)
    assert "approximate" not in caplog.text
    sail_trainer(p=0.5, max_age=3, rollout_temperature=0.9).train()
    assert caplog.text.count("The online gradient is approximate") == 1
    assert "temperature 1 and top_p 1 and pairs may be up to 3 steps old" in caplog.text


def test_a_script_s_positional_arguments_are_the_parent_s(checkpoint, tokenizer, tmp_path):
    args = SAILConfig(output_dir=str(tmp_path), **ARGUMENTS, r=0.5)
    data = Dataset.from_list([row | {COLUMNS[0]: -9.0, COLUMNS[1]: -8.0} for row in rows(16)])
    trainer = SAILTrainer(str(checkpoint), None, args, None, data, data, tokenizer)
    assert len(trainer.train_dataset) == len(trainer.eval_dataset) == 16 and trainer.args.precompute_ref_log_probs


def test_prompts_cannot_be_drawn_from_a_stream(sail_trainer):
    stream = Dataset.from_list(rows(16)).to_iterable_dataset()
    with pytest.raises(ValueError, match="pass a Dataset, no IterableDataset, or set p and g to 0"):
        sail_trainer(stream, p=0.5)
    sail_trainer(stream, r=0.5, max_steps=1).train()
