"""The trainer of iterated DPO, from what its hyperparameters say."""

from pipeline.config.arguments import round_passes
from pipeline.models.fitting import cache_bytes, fitted
from pipeline.training.policy import Start
from pipeline.training.rounds import RoundsConfig, RoundsDPOTrainer
from pipeline.training.state import continued
from pipeline.training.steps import steps_of
from sail.rewards import reward_function

SAMPLING = ("temperature", "top_p", "max_new_tokens")  # arguments of other names


def iterated_trainer(start: Start) -> RoundsDPOTrainer:
    """The trainer of a run of iterated DPO: a step has as many pairs as the global batch."""
    values = start.spec["hyperparameters"]
    steps = values.get("max_steps")
    if not steps:
        extent = {"epochs": values["epochs"] * round_passes(values), "global_batch_size": values["global_batch_size"]}
        steps = steps_of(extent, len(start.dataset), None)
    # Half of the room: the rest is for training.
    length = values["max_length"]
    device = fitted(start.device, "generate", start.scratch, lambda: cache_bytes(start.model, length), 0.5)
    args = start.arguments(
        RoundsConfig,
        but=SAMPLING,
        max_steps=steps,
        **{f"rollout_{name}": values[name] for name in SAMPLING},
        rollout_batch_size=device.batch_sizes["generate"],
        cache_implementation=device.cache_implementation,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        # Where the reference is the policy itself, no other model is kept.
        precompute_ref_log_probs=values["round_reference"] == "previous",
    )
    rewards = reward_function(start.reward_function, None, start.device.type)
    return continued(RoundsDPOTrainer)(start.model, args, start.dataset, start.tokenizer, rewards)
