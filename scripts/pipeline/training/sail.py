"""The SAIL plugin's trainer, for the methods that are its variants."""

from pipeline.models.fitting import cache_bytes, fitted
from pipeline.training.policy import Start
from pipeline.training.state import continued
from sail import SAILConfig, SAILTrainer


def sail_trainer(start: Start) -> SAILTrainer:
    """A trainer of the plugin; which rows are routed where, the hyperparameters say."""
    tokens = start.spec["hyperparameters"]["max_length"]
    # Half of the room: the rest is for training.
    device = fitted(start.device, "generate", start.scratch, lambda: cache_bytes(start.model, tokens), 0.5)
    return continued(SAILTrainer)(
        start.model,
        args=start.arguments(
            SAILConfig,
            rollout_batch_size=device.batch_sizes["generate"],
            cache_implementation=device.cache_implementation,
        ),
        train_dataset=start.dataset,
        processing_class=start.tokenizer,
        reward_funcs=start.reward_function,
    )
