"""Training of a policy: DPO by TRL's own trainer, the SAIL variants by the plugin."""

import pandas as pd
from trl import DPOConfig

from pipeline.models.checkpoints import load_policy, load_tokenizer, training_dtype
from pipeline.models.devices import Device
from pipeline.training.running import add_lengths, preference_dataset, trainer_arguments
from pipeline.training.state import continued
from sail import ReferenceColumnsDPOTrainer, SAILConfig, SAILTrainer

# Hyperparameters of a spec that the trainers take by the same name.
DPO_ARGUMENTS = ("beta", "label_smoothing")
SAIL_ARGUMENTS = (
    *("r", "rho", "p", "pi", "g", "gamma", "estimator", "upstream_scale", "revkl", "label_draw", "max_age"),
    *("rollout_temperature", "rollout_top_p", "rollout_max_new_tokens", "rollout_prompts", "rollout_reuse"),
)


def policy_trainer(
    spec: dict,
    frame: pd.DataFrame,
    reference: pd.DataFrame,
    model_path: str,
    seed: int,
    device: Device,
    scratch: str,
    reward_function=None,
) -> ReferenceColumnsDPOTrainer:
    """The trainer of a policy spec.

    Args:
        spec: {dataset, model: entry, run, method, hyperparameters}.
        frame: prompt, chosen, rejected of the train split.
        reference: row, ref_chosen_logps, ref_rejected_logps of the SFT model on that split.
        model_path: the SFT model's folder, where the policy starts and which stays its reference.
        seed: of data order, routing and rollouts.
        scratch: folder that the trainer may write to.
        reward_function: for g > 0, see `sail.SAILTrainer`.
    """
    entry, given = spec["model"], spec["hyperparameters"]
    tokenizer = load_tokenizer(model_path, entry)
    kwargs = {"dtype": training_dtype(entry, device), "attn_implementation": device.attention}
    model = load_policy(model_path, entry, trainable=True, device=device, **kwargs)
    dataset = preference_dataset(frame, tokenizer, entry, reference)
    arguments = trainer_arguments(given, device, "policy", scratch, seed)
    arguments |= {name: given[name] for name in DPO_ARGUMENTS} | {"loss_type": [given["loss_type"]]}
    if spec["method"] == "dpo":
        args = DPOConfig(**arguments, precompute_ref_log_probs=True)
        trainer = continued(ReferenceColumnsDPOTrainer)(
            model, args=args, train_dataset=dataset, processing_class=tokenizer
        )
    else:
        sail = {name: given[name] for name in SAIL_ARGUMENTS if name in given}
        if "variance_baseline" in given:
            sail["baseline"] = given["variance_baseline"]
        sail["rollout_batch_size"] = device.batch_sizes["generate"]
        trainer = continued(SAILTrainer)(
            model,
            args=SAILConfig(**arguments, **sail),
            train_dataset=dataset,
            processing_class=tokenizer,
            reward_funcs=reward_function,
        )
    trainer.train_dataset = add_lengths(trainer.train_dataset)
    return trainer
