"""Pairs that the policy of the beginning samples: of what is learned they know nothing."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from plugin.training import logged
from sail import SAILConfig

LORA = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")


def sampled(trainer):
    """Trains; all pairs in the order of their sampling, as token ids."""
    seen, extend = [], trainer.pool.extend

    def spy(pairs):
        seen.extend((pair.prompt_ids, pair.response_ids) for pair in pairs)
        extend(pairs)

    trainer.pool.extend = spy
    trainer.train()
    return seen


def adapted(checkpoint):
    """The tiny model with an adapter that was trained before."""
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(checkpoint), LORA)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    return model


@pytest.mark.parametrize("adapter", [False, True])
def test_pairs_of_the_start_do_not_depend_on_what_is_learned(sail_trainer, checkpoint, adapter):
    def pairs(learning_rate, rollout_policy):
        model = {"model": adapted(checkpoint)} if adapter else {}
        given = {"learning_rate": learning_rate, "rollout_policy": rollout_policy, "max_steps": 6, "max_age": 1}
        trainer = sail_trainer(g=0.6, gamma=0.0, lr_scheduler_type="constant", **given, **model)
        return sampled(trainer), trainer

    (none, _), (start, trainer), (current, _) = pairs(0.0, "start"), pairs(0.3, "start"), pairs(0.3, "current")
    assert len(start) >= 18 and start == none, "a pair was sampled by the policy of a later step"
    refill = trainer.args.rollout_prompts
    assert start[:refill] == current[:refill] and start[refill:] != current[refill:]
    # none is thrown away, and each is as old as the training
    assert sum(logged(trainer, "sail/stale_pairs")) == 0
    assert logged(trainer, "sail/age") == [0, 1, 2, 3, 4, 5]


def test_what_needs_the_current_policy_is_refused():
    with pytest.raises(ValueError, match="revkl is estimated on the current policy's responses"):
        SAILConfig("out", g=0.5, revkl=0.1, rollout_policy="start", use_cpu=True)
    with pytest.raises(ValueError, match="rollout_policy must be one of current, start, not 'sft'"):
        SAILConfig("out", g=0.5, rollout_policy="sft", use_cpu=True)
