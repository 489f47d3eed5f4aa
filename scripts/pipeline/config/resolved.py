"""The whole config as one that stands alone: every default and every entry that it uses written out."""

import copy

from pipeline.config.reward_training import prepared_datasets
from pipeline.config.settings import Settings

# Where a run is, watched or sent to: they change nothing of what is computed, so nothing is made anew for them.
ELSEWHERE = ("device", "wandb", "publish", "exports")


def resolved_config(settings: Settings) -> dict:
    """A config that computes the same whatever config/*.yaml say, but for the judges' folders.

    Returns:
        The config with its defaults, but for those of `policy` and `tasks`, and without ELSEWHERE; in `definitions` the
        entries that it uses, with theirs.
    """
    used = settings.used_reward_models
    trained = [settings.entries["reward_models"][name].get("train") for _, name in used]
    names = {
        "datasets": prepared_datasets(settings),
        "models": [*settings.models, *(train["model"] for train in trained if train)],
        "reward_models": [name for _, name in used],
    }
    names |= {"prompts": settings.prompt_sets} if settings.prompt_sets else {}
    definitions = {
        kind: {name: settings.entries[kind][name] for name in dict.fromkeys(wanted)} for kind, wanted in names.items()
    }
    config = {key: value for key, value in settings.config.items() if key not in ELSEWHERE}
    decodings = {name: config["decodings"][name] for name in settings.decodings}
    return copy.deepcopy({**config, "decodings": decodings, "definitions": definitions})
