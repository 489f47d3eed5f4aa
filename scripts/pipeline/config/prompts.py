"""The sets of prompts that a config names, and who judges the answers to them."""

from pipeline.config.errors import Problem, unknown_name
from pipeline.config.judges import judge_names

# What is the dataset's own, or stands for all sets in the tables.
RESERVED = ("train", "selection", "eval", "unlabelled", "all")
# What says how a set is answered and judged, not what it is.
USE = ("judge", "decodings")


def set_spec(settings, name: str) -> dict:
    """What a set is prepared from: its name and entry, without what says how it is answered and judged."""
    entry = settings.entries["prompts"][name]
    return {"name": name, **{key: value for key, value in entry.items() if key not in USE}}


def set_judge(settings, dataset: str, name: str) -> str:
    """Name of the judge of a dataset's runs on a set: the set's own, else the config's, else the dataset's."""
    return settings.entries["prompts"][name].get("judge") or settings.judge_name(dataset)


def set_decodings(settings, name: str) -> list[str]:
    """The decodings that a set is answered under: all where its entry, else the config, says so; else the first."""
    wanted = settings.entries["prompts"][name].get("decodings") or settings.config.get("prompt_decodings")
    return settings.decodings if wanted == "all" else settings.decodings[:1]


def has_references(settings, name: str) -> bool:
    """Whether a set has reference answers."""
    return "reference" in settings.entries["prompts"][name].get("columns", {})


def has_categories(settings, name: str) -> bool:
    """Whether a set has categories."""
    return "category" in settings.entries["prompts"][name].get("columns", {})


def check_prompts(settings) -> None:
    """Raise where a set is not known, has a name that means something else, or a judge that cannot judge it."""
    known = settings.entries["prompts"]
    for index, name in enumerate(settings.prompt_sets):
        path = ("prompts", index)
        if name not in known:
            raise settings.error(unknown_name(path, "set of prompts", name, list(known)))
        if name in RESERVED:
            text = f"{name}, which is the dataset's own or stands for all sets; give the set another name"
            raise settings.error(Problem(path, text, f"{name}-prompts"))
        own = known[name].get("judge")
        if own is not None and own not in (judges := judge_names(settings.root)):
            place, file, content = settings.place("prompts", name, "judge")
            raise unknown_name(place, "judge", own, judges).error(file, content)
        for dataset in settings.datasets:
            _check_judge(settings, dataset, name)


def _check_judge(settings, dataset: str, name: str) -> None:
    judge = settings.judge_spec(set_judge(settings, dataset, name))
    if judge["kind"] == "gold" and "judge" not in settings.entries["prompts"][name]:
        place, file, content = settings.place("prompts", name, "judge")
        text = (
            f"missing; {judge['name']}, the judge of {dataset}, knows the embedded world alone; name one that can "
            "judge these prompts"
        )
        raise Problem(place, text, "reward").error(file, content)
    if judge["kind"] == "reward":
        settings.check_reward_model(judge.get("reward_model") or settings.reward_model_name(dataset))
