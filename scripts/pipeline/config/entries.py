"""The named entries that a config refers to: datasets, models, reward models and devices."""

from datetime import date
from pathlib import Path

from pipeline.config.errors import Problem, unknown_name
from pipeline.config.schema import fill, load_schema, validate
from pipeline.config.schemas.models import DATE
from pipeline.jobs.io import read_yaml

NO_VARIABLES = (
    "conversation",
    "messages",
    "add_generation_prompt",
    "continue_final_message",
    "tokenize",
    "return_dict",
)
NO_VARIABLES += ("chat_template", "tools", "documents", "return_tensors", "padding", "truncation", "max_length")
TOKENIZER_KEYS = ("path", "revision", "trust_remote_code", "plain_template", "chat_template_kwargs", "date")


def read_entries(kind: str, definitions: dict[str, dict], root: Path, source: str) -> dict[str, dict]:
    """The entries of config/<kind>.yaml and those that a config defines itself, which come first.

    Args:
        kind: datasets, models, reward_models, prompts or devices.
        definitions: the config's own entries, validated and with defaults.
        root: folder that holds config/.
        source: file that the config is from, for messages.

    Returns:
        {name: entry with defaults}.

    Raises:
        ConfigError: an entry is wrong, whether the config uses it or not.
    """
    file = f"config/{kind}.yaml"
    shipped = fill(validate(read_yaml(root / file), kind, file), load_schema(kind))
    for name, entry in shipped.items():
        _check_entry(kind, (name,), entry, file, shipped)
    for name, entry in definitions.items():
        _check_entry(kind, ("definitions", kind, name), entry, source, {"definitions": {kind: definitions}})
    entries = {**shipped, **definitions}
    if kind == "datasets":
        for name in entries:
            path, where = (("definitions", kind, name), source) if name in definitions else ((name,), file)
            _check_mix(path, name, entries, where)
    return entries


def parts_of(name: str, datasets: dict[str, dict]) -> dict[str, dict]:
    """The entries of the datasets that a mix is drawn from, by name; of another dataset its own."""
    return {part["dataset"]: datasets[part["dataset"]] for part in datasets[name].get("mix", [{"dataset": name}])}


def without_selection(datasets: dict[str, dict]) -> str | None:
    """The first of some datasets that has no selection split, and the key that says so; None where all have one."""
    for name, entry in datasets.items():
        share = "selection_size" if entry["source"] == "world" else "selection_share"
        if not entry[share]:
            return f"{name} has {share}"
    return None


def data_entry(dataset: dict, models: list[dict], max_length: int) -> dict:
    """What of a dataset's entry its preparation depends on, and the tokenizers by which rows are too long.

    Args:
        dataset: its entry.
        models: entries of the config's models. One that is trained from scratch has no tokenizer before it has seen the
            dataset.
        max_length: most tokens of prompt and response.

    Returns:
        The entry without reward model and judge; where there are pretrained models also {tokenizers: [{path, revision,
        trust_remote_code, plain_template}], max_length}. A mix has `source` "mix", and none of these, as the splits
        that it is drawn from are filtered.
    """
    entry = {key: dataset[key] for key in dataset if key not in ("reward_model", "judge")}
    if "mix" in dataset:
        return {"source": "mix", **entry}
    wanted = [{key: model[key] for key in TOKENIZER_KEYS if key in model} for model in models if "path" in model]
    tokenizers = [tokenizer for i, tokenizer in enumerate(wanted) if tokenizer not in wanted[:i]]
    return entry | ({"tokenizers": tokenizers, "max_length": max_length} if tokenizers else {})


def _check_entry(kind: str, path: tuple, entry: dict, source: str, content: dict) -> None:
    """Raise what a schema cannot say of an entry; drop what it does not use."""
    if entry.get("path", "").startswith("~"):
        try:
            entry["path"] = str(Path(entry["path"]).expanduser())
        except RuntimeError as error:  # a user that there is not
            text = f"{entry['path']!r} is in the home of nobody known here ({error})"
            raise Problem((*path, "path"), text, "data/mine").error(source, content) from error
    if kind == "models" and entry["adapter"] == "none":
        entry.pop("lora", None)
    for key in entry.get("chat_template_kwargs", {}):
        if key in NO_VARIABLES:
            text = f"{key} says to what the template is applied, which is the pipeline's to say"
            right = {"enable_thinking": False}
            raise Problem((*path, "chat_template_kwargs"), text, right).error(source, content)
    if "date" in entry:
        _check_date(path, entry["date"], source, content)
    shape = entry.get("architecture")
    if shape and shape["hidden_size"] % shape["num_attention_heads"]:
        text = f"{shape['num_attention_heads']} does not divide hidden_size {shape['hidden_size']}"
        right = max(n for n in range(1, shape["num_attention_heads"]) if shape["hidden_size"] % n == 0)
        raise Problem((*path, "architecture", "num_attention_heads"), text, right).error(source, content)
    if shape:
        _check_heads((*path, "architecture"), shape, source, content)
    if kind == "prompts" or (kind == "datasets" and "mix" not in entry):
        _check_columns(path, entry, source, content)
    if kind != "datasets" or "mix" in entry:
        return
    _check_label_noise(path, entry, source, content)
    if (unlabelled := entry.get("unlabelled", 0)) > 1 and unlabelled % 1:
        text = f"{unlabelled:g}, which is neither a share below 1 nor a whole number of rows"
        raise Problem((*path, "unlabelled"), text, round(unlabelled)).error(source, content)
    if entry["source"] == "world":
        if entry["eval_size"] + entry["selection_size"] >= entry["size"]:
            text = (
                f"{entry['size']}, but eval_size {entry['eval_size']} and selection_size {entry['selection_size']} "
                "are taken from it, which leaves nothing to train on"
            )
            right = {"size": 4320, "eval_size": 512, "selection_size": 384}
            raise Problem((*path, "size"), text, {"source": "world", **right}, path).error(source, content)
        if entry.get("edition") == 2 and entry["size"] > (most := 2736 + entry["eval_size"] // 2):
            text = f"{entry['size']}; edition 2 has {most} prompts where eval_size is {entry['eval_size']}"
            raise Problem((*path, "size"), text, most).error(source, content)
    elif ("eval" in entry["splits"]) == ("eval_share" in entry):
        both = "eval_share" in entry
        text = f"{'unused' if both else 'missing'}; either splits.eval names splits, or eval_share holds out prompts"
        right = {key: entry[key] for key in ("source", "path", "preference") if key in entry}
        right |= {"splits": entry["splits"]} if both else {"eval_share": 0.1}
        raise Problem((*path, "eval_share"), text, right, path).error(source, content)


def _check_columns(path: tuple, entry: dict, source: str, content: dict) -> None:
    """Raise two roles that have one column."""
    columns = entry.get("columns") or {}
    for role, column in columns.items():
        if list(columns.values()).count(column) > 1:
            right = {name: name if columns[name] == column else columns[name] for name in columns}
            text = f"{column!r} has another role too; each role needs a column of its own"
            raise Problem((*path, "columns", role), text, right, (*path, "columns")).error(source, content)


def _check_heads(path: tuple, shape: dict, source: str, content: dict) -> None:
    """Raise for heads that no model can have."""
    heads, groups = shape["num_attention_heads"], shape.get("num_key_value_heads")
    if groups and heads % groups:
        text = f"{groups} does not divide num_attention_heads {heads}; so many heads share a key and a value"
        right = max(n for n in range(1, heads + 1) if heads % n == 0 and n <= groups)
        raise Problem((*path, "num_key_value_heads"), text, right).error(source, content)
    if (width := shape["hidden_size"] // heads) % 2:
        text = (
            f"{shape['hidden_size']}, which gives {heads} heads a width of {width}; rotary positions need an even one"
        )
        raise Problem((*path, "hidden_size"), text, heads * (width + 1)).error(source, content)


def _check_date(path: tuple, text: str, source: str, content: dict) -> None:
    """Raise on a day that there is not."""
    try:
        date.fromisoformat(text)
    except ValueError as error:
        problem = Problem((*path, "date"), f"{text}, which is no day: year-month-day", DATE)
        raise problem.error(source, content) from error


def _check_label_noise(path: tuple, entry: dict, source: str, content: dict) -> None:
    """Raise noise of a draw that is not asked for; drop the keys of a noise that there is not."""
    if entry.get("bt_noise_gauss") and not entry["relabel"]:
        text = f"{entry['bt_noise_gauss']}, but it is added where labels are drawn from bt_prob: set relabel too"
        right = {"source": "plain", "path": entry["path"], "relabel": True, "bt_noise_gauss": entry["bt_noise_gauss"]}
        raise Problem((*path, "bt_noise_gauss"), text, right, path).error(source, content)
    if not (entry.get("relabel") or entry["label_switching"]):
        for key in ("relabel", "bt_noise_gauss", "label_switching", "label_seed"):
            entry.pop(key, None)


def _check_mix(path: tuple, name: str, entries: dict[str, dict], source: str) -> None:
    """Raise where the datasets of a mix are unknown, not distinct, or mixes themselves."""
    named = [part["dataset"] for part in entries[name].get("mix", ())]
    others = [other for other in entries if "mix" not in entries[other]]
    for index, part in enumerate(named):
        place = (*path, "mix", index, "dataset")
        if part not in entries:
            raise unknown_name(place, "dataset", part, others).error(source, {})
        if part not in others:
            parts = ", ".join(inner["dataset"] for inner in entries[part]["mix"])
            text = f"{part} is a mix itself; name the datasets that it is drawn from ({parts}), with weights"
            raise Problem(place, text, next(iter(entries[part]["mix"]))["dataset"]).error(source, {})
        if part in named[:index]:
            text = f"{part} stands there before; to have more of it, give it a weight"
            raise Problem((*path, "mix"), text, [{"dataset": part, "weight": 2}, {"dataset": "…"}]).error(source, {})
