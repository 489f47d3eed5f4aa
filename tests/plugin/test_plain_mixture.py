"""With weights of 0 routed rows are pairs as any others, for each loss of the parent."""

import math

import pytest
import torch
from datasets import Dataset
from trl import DPOTrainer

from plugin.tiny import rows, weights
from plugin.training import COLUMNS, completions_of, logged, spy_on_batches
from sail import ReferenceColumnsDPOTrainer
from sail.objective import DDP, DPP

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
