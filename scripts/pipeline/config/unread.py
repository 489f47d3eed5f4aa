"""Hyperparameters that a run does not read, though its method takes them: whatever they are, they change nothing.

What TRL's losses read is here as in its DPOTrainer.
"""

from collections.abc import Iterable

from pipeline.config.arguments import EXTENTS
from pipeline.config.errors import PathParts, Problem

# The losses that read label_smoothing, and the one that does not read beta.
SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")
WITHOUT_BETA = ("sft",)
# Hyperparameters of how responses are sampled, of their labels, and of a part of the gradient.
SAMPLING = (
    *("rollout_temperature", "rollout_top_p", "rollout_max_new_tokens", "rollout_prompts", "rollout_reuse", "max_age"),
    *("mask_truncated_completions", "use_vllm", "rollout_policy"),
)
CORRECTION = "vllm_importance_sampling_correction"
BOUNDS = ("vllm_importance_sampling_mode", "vllm_importance_sampling_clip_max")
CLIPPING = ("epsilon", "epsilon_high")
LABELS = ("label_draw", "missing_eos_penalty")
RESPONSE_PART = ("variance_baseline", "upstream_scale")


def unread(values: dict, rows: Iterable, smoothed: tuple[str, ...] = SMOOTHED) -> dict[str, str]:
    """Why each hyperparameter that a run does not read is not read, as half a sentence.

    Args:
        values: all hyperparameters of the run.
        rows: the kinds of rows that its method makes of others, as `pipeline.config.hyperparameters.Rows`.
        smoothed: the losses of the method that read label_smoothing.
    """
    if "lr_scheduler" not in values:  # nothing is trained
        return {}
    loss, kinds = values.get("loss_type"), list(rows)
    made = [kind for kind in kinds if values[kind.share]]
    sampled = [kind for kind in made if kind.sampled]
    found = unread_schedule(values)
    for key in EXTENTS:
        if values.get(key) is not None:
            found["epochs"] = f"{key}, {values[key]}, takes its place"
    if loss not in smoothed:
        found["label_smoothing"] = f"the loss {loss} does not know it; {', '.join(smoothed)} do"
    if loss != "simpo":
        found["simpo_gamma"] = f"the loss {loss} has no margin; simpo has"
    if loss == "cispo":
        found["epsilon"] = "the loss cispo reads epsilon_high alone"
    elif values.get("num_iterations") == 1 and values["generation_batch_size"] in (None, values["global_batch_size"]):
        found |= dict.fromkeys(CLIPPING, "the policy does not change while its responses are trained on")
    if loss in WITHOUT_BETA and all(kind.rewarded for kind in made):
        found["beta"] = f"the loss {loss} does not know it"
    for kind in kinds:
        if kind not in made:
            found[kind.weight] = f"{kind.share} is 0, so there are no such rows"
    if kinds and not any(kind.rewarded for kind in made):
        found |= dict.fromkeys(LABELS, "no row is labelled by the reward model")
    if not made:
        found["estimator"] = "no row has an extra gradient"
    elif loss != "sigmoid" and not sampled:
        found["estimator"] = f"with the loss {loss} there is no extra gradient"
    if not kinds:
        pass
    elif not sampled:
        found |= dict.fromkeys((*SAMPLING, *RESPONSE_PART), "no row has responses of the policy")
    elif loss != "sigmoid" or not any(values[kind.weight] for kind in sampled):
        weights = " and ".join(kind.weight for kind in sampled)
        found |= dict.fromkeys(RESPONSE_PART, f"with {weights} at 0 the gradient has no response part")
    else:
        other = "upstream_scale" if values["estimator"] == "exact" else "variance_baseline"
        found[other] = f"the estimator {values['estimator']} has none"
    if not values.get("use_vllm"):
        found |= dict.fromkeys((CORRECTION, *BOUNDS), "use_vllm is off")
    elif not values[CORRECTION]:
        found |= dict.fromkeys(BOUNDS, f"{CORRECTION} is off")
    elif values[BOUNDS[1]] is None:
        found[BOUNDS[0]] = f"without {BOUNDS[1]} there is no bound"
    if sampled and values.get("rollout_policy") == "start":
        found["max_age"] = "with rollout_policy start a pair never grows old"
    return {key: why for key, why in found.items() if key in values}


def unread_schedule(values: dict) -> dict[str, str]:
    """The same of a training's optimizer and schedule, whatever is trained."""
    found = {}
    if values["lr_scheduler"] == "constant":
        found["warmup_steps"] = "the schedule constant has no warm-up; constant_with_warmup has"
    if "adam_beta2" in values and "adam" not in values["optimizer"]:
        found["adam_beta2"] = f"the optimizer {values['optimizer']} is no Adam"
    return found


def check_training(values: dict, properties: dict, path: PathParts, source: str, content: dict) -> None:
    """Raise a ConfigError where the training of an SFT or a reward model sets what it does not read.

    Args:
        values: its hyperparameters.
        properties: their schemas.
        path, source, content: where they stand, see `pipeline.config.errors.Problem`.
    """
    for key, why in unread_schedule(values).items():
        if values[key] != (default := properties[key]["default"]):
            raise Problem((*path, key), f"{values[key]} would change nothing: {why}", default).error(source, content)
