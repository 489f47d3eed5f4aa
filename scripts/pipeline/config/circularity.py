"""Whether a run is judged by the reward model that labelled its pairs, or by one that shares data with that."""

from pipeline.config.entries import parts_of
from pipeline.config.reward_training import reward_dataset
from pipeline.config.sweep import Run, is_rewarded

SAME, DATA = "reward_model", "data"
SOURCE = ("source", "path", "config_name")


def judge_shares(settings, run: Run, judge_name: str | None = None) -> str:
    """What the judge of a run has in common with the reward model that labelled pairs of it, or chose responses.

    Args:
        judge_name: the judge's; the dataset's judge when None.

    Returns:
        SAME: it is that reward model, under this or another name; DATA: both are trained on pairs of the same prompts;
        "": nothing that the config tells, or nothing labelled any pair.
    """
    if run.is_start or run.elsewhere or not (is_rewarded(run) or run.chooses):
        return ""
    labels = settings.reward_model_name(run.dataset)
    judge = settings.judge_spec(judge_name or settings.judge_name(run.dataset))
    if judge["kind"] != "reward":
        return ""
    judges = judge.get("reward_model") or settings.reward_model_name(run.dataset)
    entries = settings.entries["reward_models"]
    if _identity(entries, labels) == _identity(entries, judges):
        return SAME
    trained = "train" in entries[labels] and "train" in entries[judges]
    return DATA if trained and _share_prompts(settings, run.dataset, labels, judges) else ""


def _identity(entries: dict[str, dict], name: str) -> tuple:
    """What tells reward models apart: where a checkpoint is from, or the name of what the workflow trains."""
    entry = entries[name]
    return (entry["path"], entry.get("revision")) if "path" in entry else (name,)


def _share_prompts(settings, dataset: str, one: str, other: str) -> bool:
    """Whether two trained reward models saw pairs of the same prompts: of one dataset, unless of disjoint shares."""
    read = [reward_dataset(settings, dataset, name) for name in (one, other)]
    shares = [settings.entries["reward_models"][name]["train"].get("share") for name in (one, other)]
    if read[0] == read[1]:
        return not (all(shares) and _disjoint(*shares))
    sources = [
        {_source(name, part) for name, part in parts_of(of, settings.entries["datasets"]).items()} for of in read
    ]
    return bool(sources[0] & sources[1])


def _source(name: str, entry: dict) -> tuple:
    """Where a dataset's rows are from; the embedded world's, of each entry, from the entry itself."""
    return tuple(entry.get(key) for key in SOURCE) if "path" in entry else (name,)


def _disjoint(one: dict, other: dict) -> bool:
    return one["of"] == other["of"] and one["seed"] == other["seed"] and one["part"] != other["part"]
