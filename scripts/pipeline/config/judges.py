"""The judges that a config refers to: folders of config/judges with judge.yaml and, for language models, prompt.txt."""

from pathlib import Path

from pipeline.config.checks import with_code
from pipeline.config.errors import ConfigError, Problem, unknown_name
from pipeline.config.fields import FAILED_SHARE
from pipeline.config.schema import fill, load_schema, validate
from pipeline.jobs.io import InputError, read_yaml

# How a judge is reached and what it may take. It changes no verdict, so a change of it makes none stale.
SERVICE_KEYS = (
    *("base_url", "api_version", "api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute"),
    *("timeout_seconds", "backoff_seconds", "max_failed_share", "prices", "budget_usd"),
    *("batch", "batch_size", "batch_poll_seconds"),
)


def judge_names(root: Path) -> list[str]:
    """Names of the judges in config/judges; `reward` first, as every dataset can have it, those with a prompt last."""
    names = sorted(path.parent.name for path in root.glob("config/judges/*/judge.yaml"))
    return sorted(names, key=lambda name: (name != "reward", (root / "config/judges" / name / "prompt.txt").exists()))


def why_not_judge(judge: dict, dataset: str, parts: list[dict]) -> str | None:
    """Why a judge cannot be run on a dataset, None where it can.

    Args:
        parts: entries of the datasets that it is drawn from, or its own.
    """
    if judge["kind"] != "gold":
        return None
    if any(entry["source"] != "world" for entry in parts):
        return f"{judge['name']} knows the embedded world alone and cannot judge the dataset {dataset}"
    edition, editions = judge.get("edition", 1), {entry.get("edition", 1) for entry in parts}
    if editions == {edition}:
        return None
    told = " and ".join(map(str, sorted(editions)))
    return f"{judge['name']} knows edition {edition} of the embedded world; the dataset {dataset} is of edition {told}"


def check_judge(settings, dataset: str, parts: list[dict]) -> None:
    """Raise where a dataset's judge cannot be run, or not on this dataset.

    Args:
        parts: entries of the datasets that it is drawn from, or its own.
    """
    judge = settings.judge_spec(settings.judge_name(dataset))
    if text := why_not_judge(judge, dataset, parts):
        path, file, content = settings.place_of_use(dataset, "judge")
        raise Problem(path, text, "reward").error(file, content)
    if "reward_model" in judge:
        settings.check_reward_model(judge["reward_model"])


def gives_parts(judge: dict) -> bool:
    """Whether a judge's verdicts have named parts."""
    return judge.get("edition") == 2 or bool(judge.get("parts"))


def read_judge(name: str, root: Path, reward_models: list[str]) -> tuple[dict, dict]:
    """A judge's entry from config/judges/<name>, with defaults.

    Args:
        root: folder that holds config/.
        reward_models: names of those that there are.

    Returns:
        What its verdicts depend on (kind openai with `prompt`, the text of prompt.txt), and the SERVICE_KEYS of kind
        openai.

    Raises:
        ConfigError: judge.yaml is wrong, or prompt.txt is missing or lacks a place that is to be filled in.
    """
    folder = root / "config" / "judges" / name
    file = f"config/judges/{name}/judge.yaml"
    entry = _read_entry(folder / "judge.yaml", file)
    if entry.get("reward_model") not in (None, *reward_models):
        raise unknown_name(("reward_model",), "reward model", entry["reward_model"], reward_models).error(file, entry)
    if entry["kind"] != "openai":
        if entry["max_failed_share"] == FAILED_SHARE:  # an entry without it is what it was before there was such a key
            del entry["max_failed_share"]
        return with_code(entry, folder, root, file) if entry["kind"] == "check" else entry, {}
    entry["prompt"] = _judge_prompt(folder / "prompt.txt", name, entry["mode"])
    return entry, {key: entry.pop(key) for key in SERVICE_KEYS}


def read_service(path: Path) -> dict:
    """The SERVICE_KEYS of a judge.yaml of kind openai, with defaults.

    Jobs read them there themselves: an input that a rule writes would have to be `ancient`, and where such an input is
    written anew, Snakemake looks for no other reason to run the jobs behind it.

    Raises:
        InputError: the judge is of another kind.
        ConfigError: the file is wrong.
    """
    entry = _read_entry(path, str(path))
    if entry["kind"] != "openai":
        raise InputError(f"{path}: the judge is of kind {entry['kind']}; only one of kind openai is reached and paid")
    return {key: entry[key] for key in SERVICE_KEYS}


def _read_entry(path: Path, file: str) -> dict:
    """A judge.yaml, checked and with defaults; `file` is its name in messages."""
    entry = fill(validate(read_yaml(path), "judges", file), load_schema("judges"))
    if entry["kind"] == "openai" and (problem := _openai_problem(entry)):
        raise problem.error(file, entry)
    return entry


def _openai_problem(entry: dict) -> Problem | None:
    """What a schema cannot say of a judge of kind openai."""
    lowest, highest = entry["scale"]
    if lowest >= highest:
        return Problem(("scale",), f"{entry['scale']}; the lowest score comes first", [1, 10])
    if entry["budget_usd"] is not None and entry["prices"] is None:
        text = f"missing; budget_usd {entry['budget_usd']:g} can be held only where it is known what tokens cost"
        return Problem(("prices",), text, {"input": 2.5, "output": 10.0})
    if entry["api_version"] is not None and entry["base_url"] is None:
        return Problem(("base_url",), "missing; with api_version it is the address of the Azure resource", "https://…")
    if entry["batch"] and isinstance(entry["base_url"], list) and len(entry["base_url"]) > 1:
        text = f"{len(entry['base_url'])} addresses; batches go to one"
        return Problem(("base_url",), text, entry["base_url"][0])
    return None


def _judge_prompt(path: Path, judge: str, mode: str) -> str:
    """The text of a judge's prompt.txt, which must have a place for the prompt and for each answer."""
    file = f"config/judges/{judge}/prompt.txt"
    places = ("{prompt}", "{answer_a}", "{answer_b}") if mode == "pairwise" else ("{prompt}", "{answer}")
    if not path.is_file():
        raise ConfigError(f"{file}: there is no such file; a judge of kind openai needs one with {', '.join(places)}")
    text = path.read_text(encoding="utf-8")
    if missing := [place for place in places if place not in text]:
        raise ConfigError(f"{file}: no {missing[0]} in it; a {mode} prompt has the places {', '.join(places)}")
    return text
