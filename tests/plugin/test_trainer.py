"""The trainer against its parent, and what it does to the rows of a batch, on a tiny random Qwen2."""

import contextlib
import math
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, TrainerCallback
from trl import DPOConfig, DPOTrainer

import sail.sampling
from plugin import tabular
from plugin.tiny import reward, rows, weights
from sail import ReferenceColumnsDPOTrainer, SAILConfig, SAILTrainer
from sail.baseline import VarianceBaseline
from sail.objective import DDP, DPP, DPR, OFFLINE, pair_loss, preference_margin

ARGUMENTS = {
    "max_steps": 4,
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-2,
    "max_length": 64,
    "logging_steps": 1,
    "gradient_checkpointing": False,
    "bf16": False,
    "use_cpu": True,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "seed": 7,
}
ROLLOUTS = {"rollout_max_new_tokens": 6, "rollout_prompts": 6, "rollout_batch_size": 5}
METHODS = {
    "ddp": {"r": 0.5},
    "dpp": {"p": 0.5},
    "dpr": {"g": 0.5},
    "mix": {"r": 0.2, "p": 0.3, "g": 0.3, "revkl": 0.1},
}
COLUMNS = ("ref_chosen_logps", "ref_rejected_logps")


@pytest.fixture
def make(checkpoint, tokenizer, tmp_path):
    """A trainer of a class on 64 rows (or `data`), with the tests' arguments changed by keyword."""

    def make(
        cls, data=None, *, model=None, reward_funcs=None, eval_data=None, peft_config=None, callbacks=None, **changes
    ):
        arguments = {"output_dir": str(tmp_path), **ARGUMENTS, **changes}
        extra = {}
        if cls is SAILTrainer:
            args, extra["reward_funcs"] = SAILConfig(**ROLLOUTS | arguments), reward_funcs
        else:
            args = DPOConfig(**arguments)
        return cls(
            model=model or str(checkpoint),
            args=args,
            train_dataset=Dataset.from_list(rows(64)) if data is None else data,
            eval_dataset=eval_data,
            processing_class=tokenizer,
            peft_config=peft_config,
            callbacks=callbacks,
            **extra,
        )

    return make


@pytest.fixture
def sail_trainer(make):
    """A SAILTrainer of a method's shares, with the reward where it needs one."""

    def sail_trainer(data=None, **changes):
        changes.setdefault("reward_funcs", reward if changes.get("g") else None)
        return make(SAILTrainer, data, **changes)

    return sail_trainer


def assert_same_weights(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **tolerance or {"rtol": 0, "atol": 0})


def history(trainer):
    """What was logged, without times."""
    skip = ("runtime", "per_second")
    return [{k: v for k, v in entry.items() if not k.endswith(skip)} for entry in trainer.state.log_history]


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def logps(model, tokenizer, prompt_ids, response_ids):
    """Σ log π of a response, by a plain forward pass on this one sequence."""
    ids = torch.tensor([prompt_ids + response_ids])
    with torch.no_grad():
        predicted = model(ids).logits[0, len(prompt_ids) - 1 : -1].log_softmax(-1)
    return predicted.gather(1, torch.tensor(response_ids)[:, None]).sum().item()


def completions_of(batch, row):
    """Prompt, chosen and rejected ids of a row of a collated batch."""
    size = len(batch["input_ids"]) // 2

    def part(i, completion):
        mask = batch["attention_mask"][i].bool() & (batch["completion_mask"][i].bool() == completion)
        return batch["input_ids"][i][mask].tolist()

    return part(row, False), part(row, True), part(row + size, True)


def spy_on_batches(trainer):
    """Keeps, per micro batch, what the loss was given before and after rows were replaced."""
    seen, replace = [], trainer._replace_rows

    def spy(inputs, routes):
        after = replace(inputs, routes)
        seen.append(SimpleNamespace(before=inputs, drawn=routes, after=after[0], routes=after[1], pairs=after[2]))
        return after

    trainer._replace_rows = spy
    return seen


# with every new term off


@pytest.mark.parametrize("changes", [{}, {"gradient_checkpointing": True, "gradient_accumulation_steps": 2}])
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

    monkeypatch.setattr(sail.sampling, "sample_responses", answers)
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
        sail.sampling, "sample_responses", lambda model, prompts, **_: [[70 + i % 2, end] for i in range(len(prompts))]
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
    monkeypatch.setattr(sail.sampling, "sample_responses", lambda model, prompts, **_: [[70, end]] * len(prompts))
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


# the reference


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


# arguments


def test_dpr_without_a_reward_is_refused(sail_trainer):
    with pytest.raises(ValueError, match=r"g > 0 \(DPR\) needs a reward: pass reward_funcs, or set g=0"):
        sail_trainer(g=0.1, reward_funcs=None)


def test_a_reward_of_the_wrong_length_is_refused(sail_trainer):
    trainer = sail_trainer(g=1.0, reward_funcs=lambda prompts, completions, **_: [0.0])
    with pytest.raises(ValueError, match="the reward function gave 1 rewards for 12 completions"):
        trainer.train()


@pytest.mark.parametrize("value", [math.nan, None])
def test_a_reward_that_is_no_number_is_refused(sail_trainer, value):
    trainer = sail_trainer(g=1.0, reward_funcs=lambda prompts, completions, **_: [0.0, value] * 6)
    with pytest.raises(ValueError, match=r"the reward function gave (nan|None) for the completion .* of 'say "):
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


# the gradient


class Gradients(TrainerCallback):
    """Keeps the gradient of each optimizer step."""

    def __init__(self):
        self.steps = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.steps.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})


@pytest.mark.parametrize("estimator", ["exact", "upstream"])
@pytest.mark.parametrize(
    "shares",
    [{"r": 1.0}, {"r": 0.4}, {"p": 0.5}, {"g": 0.5}, {"r": 0.2, "p": 0.3, "g": 0.3, "revkl": 0.1, "rollout_reuse": 2}],
    ids=["ddp alone", "ddp", "dpp", "dpr", "mix"],
)
def test_accumulation_does_not_change_the_gradient(sail_trainer, shares, estimator):
    """Nor do routes, labels, sampled pairs or the running mean depend on how a step's rows are split."""
    # Away from the reference, where a DDP row has no gradient.
    data = Dataset.from_list([row | {COLUMNS[0]: -20.0 - i % 3, COLUMNS[1]: -25.0} for i, row in enumerate(rows(64))])

    def gradients(**changes):
        keeper = Gradients()
        settings = {"max_steps": 3, "max_grad_norm": 0.0, "learning_rate": 1e-4, "rho": 1.0, "pi": 1.0, "gamma": 1.0}
        settings |= {"estimator": estimator, "max_age": 0, "rollout_prompts": 16, **shares, **changes}
        sail_trainer(data, callbacks=[keeper], **settings).train()
        return [torch.cat([grad.flatten() for grad in step.values()]) for step in keeper.steps]

    one = gradients(per_device_train_batch_size=32)
    two = gradients(per_device_train_batch_size=8, gradient_accumulation_steps=4)
    assert len(one) == len(two) == 3
    # Later steps stand on weights that rounding has already moved apart.
    for total, other, tolerance in zip(one, two, (1e-5, 1e-2, 1e-2), strict=True):
        assert total.norm() > 1e-3
        assert (total - other).norm() <= tolerance * total.norm()


def test_ddp_rows_push_through_their_label_part_alone(sail_trainer):
    """Without its weight nothing is left of them, and at the reference, Δ = 0, it is itself zero."""
    away = Dataset.from_list([row | {COLUMNS[0]: -20.0, COLUMNS[1]: -25.0} for row in rows(16)])
    for data, rho, moves in ((away, 0.0, False), (None, 1.0, False), (away, 1.0, True)):
        keeper = Gradients()
        sail_trainer(data, callbacks=[keeper], r=1.0, rho=rho, max_steps=1).train()
        assert (max(grad.abs().max() for grad in keeper.steps[0].values()) > 1e-6) == moves


ROUTES = {"offline": OFFLINE, "ddp": DDP, "dpp": DPP, "dpr": DPR}
MIXTURES = {
    "ddp": tabular.Mixture(r=0.7),
    "dpp": tabular.Mixture(p=0.6, revkl=0.4),
    "dpr": tabular.Mixture(g=0.5, revkl=0.4),
    "mix": tabular.Mixture(r=0.2, p=0.3, g=0.1, revkl=0.7, bernoulli=True),
}


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_the_trainer_s_terms_have_the_objective_s_gradient_in_expectation(mixture):
    """What the trainer adds to a batch, over everything that could be drawn, against the enumerated objective."""
    theta, reference = tabular.parameters(3).requires_grad_(), tabular.parameters(4)
    probability, routes, x, w, lost = tabular.outcomes(theta, mixture, ROUTES)
    s, s_ref = tabular.response_logps(theta), tabular.response_logps(reference)
    inputs = {"ref_chosen_logps": s_ref[x, w], "ref_rejected_logps": s_ref[x, lost]}
    shares = {"r": mixture.r, "p": mixture.p, "g": mixture.g, "revkl": mixture.revkl, "beta": mixture.beta}
    names = SimpleNamespace(rho=1.0, pi=1.0, gamma=1.0, estimator="exact", has_dpo_loss=True, **shares)
    trainer = SimpleNamespace(
        args=names,
        _log=lambda *_: None,
        state=SimpleNamespace(global_step=1),
        _baseline=lambda margin, *_: torch.full_like(margin, 0.4),
    )
    terms = SAILTrainer._online_terms(trainer, inputs, routes, torch.arange(len(x)), s[x, w], s[x, lost])
    loss = pair_loss(preference_margin(s[x, w], s[x, lost], s_ref[x, w], s_ref[x, lost], mixture.beta))
    (got,) = torch.autograd.grad((probability * (loss + terms)).sum(), theta)
    (right,) = torch.autograd.grad(tabular.enumerated_objective(theta, reference, mixture), theta)
    assert (got - right).norm() <= 1e-6 * right.norm()


@pytest.mark.parametrize("estimator", ["upstream", "exact"])
def test_upstream_labels_are_flipped_as_often_as_the_policy_disagrees(estimator):
    """At Δ = log 9 the policy keeps a label with probability 9/10; DPR and offline rows are not its to label."""
    size, log = 4000, {}
    for route, share in ((DDP, 0.1), (DPP, 0.1), (DPR, 0.0), (OFFLINE, 0.0)):
        trainer = SimpleNamespace(
            args=SimpleNamespace(
                rho=0.2,
                pi=0.2,
                gamma=0.3,
                beta=0.5,
                estimator=estimator,
                upstream_scale=1.0,
                revkl=0.0,
                has_dpo_loss=True,
            ),
            _log=log.__setitem__,
            _labels=torch.Generator().manual_seed(0),
            _baseline=VarianceBaseline("mean"),
            state=SimpleNamespace(global_step=1),
        )
        trainer._draw_flips = lambda *rows, trainer=trainer: SAILTrainer._draw_flips(trainer, *rows)
        inputs = dict(zip(COLUMNS, torch.tensor([[-5 - 2 * math.log(9)], [-5.0]]).expand(2, size), strict=True))
        logps = torch.full((size,), -5.0)
        SAILTrainer._online_terms(trainer, inputs, torch.full((size,), route), torch.arange(size), logps, logps)
        error = math.sqrt(share * (1 - share) * size) if estimator == "upstream" else 1e-2
        assert log["sail/label_flips"] == pytest.approx(share * size, abs=3.5 * error), route


# adapters, modes, exceptions

LORA = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")


def adapter_state(model):
    return {
        "active": model.active_adapters,
        "disabled": any(getattr(module, "_disable_adapters", False) for module in model.modules()),
        "trainable": sorted(name for name, parameter in model.named_parameters() if parameter.requires_grad),
        "checkpointing": model.is_gradient_checkpointing,
        "modes": {name: module.training for name, module in model.named_modules()},
    }


@contextlib.contextmanager
def nothing_expected():
    yield


@pytest.mark.parametrize("adapter", ["new", "trained"])
@pytest.mark.parametrize("fails", [None, "reward", "generate", "reference"])
def test_lora_trains_with_dpr_and_is_left_as_it_was(sail_trainer, checkpoint, adapter, fails, monkeypatch):
    """The reference of a new adapter is the base model, that of a trained one its copy as it was at the start."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    if adapter == "trained":
        model = get_peft_model(model, LORA)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))

    calls = []

    def score(prompts, completions, **columns):
        calls.append(prompts)
        if fails == "reward" and len(calls) > 1:
            raise RuntimeError("the reward is out of order")
        return [float(len(completion)) for completion in completions]

    trainer = sail_trainer(
        model=model,
        peft_config=LORA if adapter == "new" else None,
        g=0.6,
        reward_funcs=score,
        gradient_checkpointing=True,
        max_age=0,
    )
    assert trainer.ref_model is None
    before, states = weights(trainer), []
    draw = trainer._draw_routes

    def drawing(size):
        states.append(adapter_state(trainer.model))
        return draw(size)

    trainer._draw_routes = drawing
    if fails == "generate":
        sample = sail.sampling.sample_responses

        def failing(*args, **settings):
            if len(states) > 1:
                raise RuntimeError("out of memory, say")
            return sample(*args, **settings)

        monkeypatch.setattr(sail.sampling, "sample_responses", failing)
    if fails == "reference":

        def fail(module, args, given):
            if not torch.is_grad_enabled() and "labels" in given and len(states) > 1:
                assert adapter_state(trainer.model) != states[0], "the reference's adapter is at work"
                raise RuntimeError("out of memory")

        trainer.model.register_forward_pre_hook(fail, with_kwargs=True)
    seen = spy_on_batches(trainer)
    with pytest.raises(RuntimeError, match="out of") if fails else nothing_expected():
        trainer.train()

    states.append(adapter_state(trainer.model))
    assert all(state == states[0] for state in states) and len(states) > 2 - bool(fails)
    assert states[0]["active"] == ["default"] and not states[0]["disabled"]
    assert states[0]["trainable"] and all("lora" in name and "default" in name for name in states[0]["trainable"])
    assert states[0]["checkpointing"] and any(states[0]["modes"].values())
    changed = {name for name, value in weights(trainer).items() if not torch.equal(value, before[name])}
    assert changed and changed <= set(states[0]["trainable"])

    # The reference that the rows got is the policy as it was at the start.
    reference = AutoModelForCausalLM.from_pretrained(checkpoint)
    if adapter == "trained":
        reference = get_peft_model(reference, LORA)
        reference.load_state_dict({name: before[name] for name, _ in reference.named_parameters()}, strict=False)
    reference.eval()
    batch = seen[-1]
    for row in range(8):
        prompt, chosen, rejected = completions_of(batch.after, row)
        got = [batch.after[name][row].item() for name in COLUMNS]
        assert got == pytest.approx([logps(reference, None, prompt, ids) for ids in (chosen, rejected)], rel=1e-4)


@pytest.mark.parametrize("place", ["reward", "sample_responses"])
def test_an_exception_leaves_mode_and_random_state_as_they_were(sail_trainer, monkeypatch, place):
    def out_of_order(*args, **kwargs):
        torch.rand(3)
        raise RuntimeError("out of order")

    if place == "sample_responses":
        monkeypatch.setattr(sail.sampling, "sample_responses", out_of_order)
    trainer = sail_trainer(
        g=1.0, reward_funcs=out_of_order if place == "reward" else reward, gradient_checkpointing=True
    )
    trainer.model.gradient_checkpointing_enable()
    trainer.model.train()
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of order"):
        trainer._refill()
    assert all(module.training for module in trainer.model.modules())
    assert trainer.model.is_gradient_checkpointing
    assert torch.equal(torch.get_rng_state(), state)
    assert len(trainer.pool) == 0


# the plain mixture

LOSS_TYPES = ("sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot")
LOSS_TYPES += ("aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm")
DIVERGENCES = ("forward_kl", "js_divergence", "alpha_divergence")
LOSSES = [{"loss_type": [name], "label_smoothing": 0.1} for name in LOSS_TYPES]
LOSSES += [{"f_divergence_type": name, "f_alpha_divergence_coef": 0.5} for name in DIVERGENCES]
LOSSES += [{"loss_type": ["sigmoid", "sft"], "loss_weights": [0.7, 0.3]}, {"use_weighting": True}]


@pytest.mark.parametrize("losses", LOSSES, ids=lambda losses: " ".join(map(str, losses.values())))
def test_the_plain_mixture_has_each_loss_of_the_parent(sail_trainer, losses):
    """Routed rows are pairs as any others: the loss is the parent's of the batch that they are in."""
    weights_of_zero = {"rho": 0.0, "pi": 0.0, "gamma": 0.0}
    trainer = sail_trainer(r=0.2, p=0.3, g=0.3, max_steps=1, **weights_of_zero, **losses)
    before = weights(trainer)
    trained_on, parent = [], DPOTrainer._compute_loss
    plain_dpo = losses.get("loss_type") == ["sigmoid"]

    def spy(model, inputs, return_outputs):
        loss = parent(trainer, model, inputs, return_outputs)
        trained_on.append((inputs, loss.item()))
        return loss

    trainer._compute_loss = spy
    seen = spy_on_batches(trainer)
    trainer.train()
    ((inputs, loss),) = trained_on
    assert logged(trainer, "sail/rows_dpr")[0] > 0 and logged(trainer, "sail/label_flips")
    if not plain_dpo:
        assert logged(trainer, "loss")[0] == pytest.approx(loss, abs=1e-4)
        assert logged(trainer, "sail/extra_loss") == [0.0]
    after = weights(trainer)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    # A label that the policy draws is turned by exchanging the two responses, references included.
    (batch,) = seen
    for row, route in enumerate(batch.routes.tolist()):
        right = [*completions_of(batch.after, row), *(batch.after[name][row].item() for name in COLUMNS)]
        turned = [right[0], right[2], right[1], right[4], right[3]]
        got = [*completions_of(inputs, row), *(inputs[name][row].item() for name in COLUMNS)]
        assert got == right or (got == turned and route in (DDP, DPP) and not plain_dpo)


@pytest.mark.parametrize("divergence", ["reverse_kl", *DIVERGENCES])
def test_the_policy_labels_by_the_implicit_reward_of_the_divergence(make, sail_trainer, divergence):
    """At σ(β·(f'(t_w) − f'(t_l))), which the parent's own loss of a pair says as well."""
    settings = {"f_divergence_type": divergence, "f_alpha_divergence_coef": 0.5, "beta": 2.0}
    data = Dataset.from_list([row | {COLUMNS[0]: -9.0 - i % 5, COLUMNS[1]: -11.0} for i, row in enumerate(rows(8))])
    dpo = make(ReferenceColumnsDPOTrainer, data, precompute_ref_log_probs=True, **settings)
    trainer = sail_trainer(data, r=1.0, rho=0.0, loss_type="hinge", **settings)
    inputs = next(iter(trainer.get_train_dataloader()))
    ones = [{k: v[[i, i + 8]] if len(v) == 16 else v[[i]] for k, v in inputs.items()} for i in range(8)]
    dpo.model.train(), trainer.model.train()
    right = [math.exp(-dpo.compute_loss(dpo.model, one).item()) for one in ones]
    assert max(right) - min(right) > 0.05
    turned, size = torch.zeros(8), 400
    for _ in range(size):
        after = trainer._label_by_policy(inputs, torch.full((8,), DDP))
        turned += (after["input_ids"][:8] != inputs["input_ids"][:8]).any(1)
    for share, keep in zip((turned / size).tolist(), right, strict=True):
        assert share == pytest.approx(1 - keep, abs=3.5 * math.sqrt(keep * (1 - keep) / size) + 1e-6)


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


# truncation


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
