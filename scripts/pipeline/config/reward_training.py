"""Reward models that the workflow trains: what they are made from, and what of an entry cannot be done."""

import copy

from pipeline.config.classifiers import checkpoint_files, has_classifier
from pipeline.config.entries import parts_of
from pipeline.config.errors import Problem, unknown_name
from pipeline.config.prompts import set_judge
from pipeline.config.schema import default_of
from pipeline.config.schemas.models import LORA
from pipeline.jobs.io import read_json

# Of a pretrained model's entry, what its weights and its tokenizer depend on.
BASE_KEYS = ("path", "revision", "trust_remote_code")


def starts_from_sft(settings, reward_model: str) -> bool:
    """Whether a trained reward model starts from an SFT model, as it says or as the policies of that model do."""
    train = settings.entries["reward_models"][reward_model]["train"]
    return train.get("sft", settings.has_sft(train["model"]))


def reward_dataset(settings, dataset: str, reward_model: str) -> str:
    """The dataset that a trained reward model is trained on: its own, else the one that it scores."""
    return settings.entries["reward_models"][reward_model].get("train", {}).get("dataset", dataset)


def used_reward_models(settings) -> list[tuple[str, str]]:
    """(dataset, reward model) of all that label pairs, score responses or judge."""
    used = [(dataset, settings.reward_model_name(dataset)) for dataset in settings.datasets]
    judges = [(dataset, settings.judge_name(dataset)) for dataset in settings.datasets]
    judges += [(of, set_judge(settings, of, name)) for name in settings.prompt_sets for of in settings.datasets]
    specs = [(dataset, settings.judge_spec(judge)) for dataset, judge in dict.fromkeys(judges)]
    used += [(dataset, spec["reward_model"]) for dataset, spec in specs if spec.get("reward_model")]
    return list(dict.fromkeys(used))


def prepared_datasets(settings) -> list[str]:
    """The config's datasets and those that only a reward model is trained on, each after what it is drawn from."""
    further = [reward_dataset(settings, *used) for used in settings.used_reward_models]
    entries = settings.entries["datasets"]
    return list(dict.fromkeys(name for of in (*settings.datasets, *further) for name in (*parts_of(of, entries), of)))


def reward_model_spec(settings, reward_model: str) -> dict:
    """A reward model's entry, with what one that is to be trained takes from its model's entry written out.

    Returns:
        The entry; of a pretrained model with `base` (its path, revision and trust_remote_code), and `train` with the
        adapter and, where there is one, its `lora`; `sft: false` where it starts from the model itself.
    """
    entry = copy.deepcopy(settings.entries["reward_models"][reward_model])
    if "train" not in entry:
        return entry
    model, train = settings.entries["models"][entry["train"]["model"]], entry["train"]
    adapter = _adapter(train, model)
    lora = train.pop("lora", model.get("lora")) or _default_lora()
    if "path" in model or adapter != "none":
        train |= {"adapter": adapter} | ({"lora": lora} if adapter != "none" else {})
    if not starts_from_sft(settings, reward_model):
        train["sft"] = False
    base = {key: model[key] for key in BASE_KEYS if key in model}
    return entry | ({"base": base} if base else {})


def training_problem(settings, reward_model: str) -> Problem | None:
    """What a schema cannot say of an entry with `train`, by its path in the entry."""
    entry, models = settings.entries["reward_models"][reward_model], settings.entries["models"]
    train = entry.get("train")
    if train is None:
        return None
    if train["model"] not in models:
        return unknown_name(("train", "model"), "model", train["model"], list(models))
    datasets = settings.entries["datasets"]
    if train.get("dataset", next(iter(datasets))) not in datasets:
        return unknown_name(("train", "dataset"), "dataset", train["dataset"], list(datasets))
    share = train.get("share")
    if share and share["part"] > share["of"]:
        text = f"{share['part']}, but there are {share['of']} parts, counted from 1"
        return Problem(("train", "share", "part"), text, share["of"])
    model, sft = models[train["model"]], starts_from_sft(settings, reward_model)
    if settings.config["sft"] is False and (sft or "architecture" in model):
        text = f"{train['model']}, whose SFT model it needs, but the config has sft: false"
        return Problem(("train", "model"), text)
    if not sft and "architecture" in model:
        text = f"false, but the model {train['model']} is trained from scratch, by its SFT alone"
        return Problem(("train", "sft"), text, True)
    adapter, of_sft = _adapter(train, model), model["adapter"] if sft else "none"
    if sft and adapter == "qlora" and of_sft == "none":
        text = (
            f"qlora, but the SFT model of {train['model']} is trained in all its weights, which are then not held in "
            "4 bits: take lora, or an adapter for the model entry too, or start from the model itself (sft: false)"
        )
        return Problem(("train", "adapter"), text, "lora")
    if of_sft != "none" and adapter != "none" and train.get("lora", model["lora"]) != model["lora"]:
        text = (
            f"another than that of the model {train['model']}, whose SFT model is an adapter that the reward model "
            "goes on with: leave it out, or start from the model itself (sft: false)"
        )
        return Problem(("train", "lora"), text, model["lora"])
    return _unfit_checkpoint(entry, model) if "path" in model else None


def _adapter(train: dict, model: dict) -> str:
    return train.get("adapter", model["adapter"])


def _default_lora() -> dict:
    return {key: default_of(schema) for key, schema in LORA.items()}


def _unfit_checkpoint(entry: dict, model: dict) -> Problem | None:
    """What the files of a pretrained model show, as far as they are on this machine."""
    files = checkpoint_files(model["path"], model.get("revision"))
    kind = read_json(files["config.json"]).get("model_type") if "config.json" in files else None
    if kind and not model["trust_remote_code"] and not has_classifier(kind):
        text = f"{entry['train']['model']}, a {kind}, of which transformers has no sequence classifier"
        return Problem(("train", "model"), text)
    if entry.get("text_format") != "chat_template" or "tokenizer_config.json" not in files:
        return None
    if "chat_template" in read_json(files["tokenizer_config.json"]):
        return None
    if any(name.startswith("chat_template") for name in files):
        return None
    text = f"chat_template, but the tokenizer of {entry['train']['model']} has none"
    return Problem(("text_format",), text, "plain")
