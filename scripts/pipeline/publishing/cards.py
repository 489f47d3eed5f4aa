"""Cards of published repositories: the README.md with its metadata, made from specs and measured results."""

import math
import re
from pathlib import Path

import jinja2
import yaml
from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from pipeline.columns.prompts import CHECK
from pipeline.jobs.io import read_json, read_yaml
from pipeline.jobs.parts import all_parts
from pipeline.results import caveats
from pipeline.results.opponents import CALLED
from pipeline.results.run_table import CHOSEN
from pipeline.results.set_table import ALL
from pipeline.results.tables import SET, read_set_rates

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
METHODS = all_parts("methods", "description")
REWARD_MODEL = "A Bradley-Terry reward model, trained on the dataset's pairs with TRL's RewardTrainer."


def make_card(publication: dict, repo_id: str) -> str:
    """The README.md of a repository: metadata between lines of "---", then text.

    Args:
        publication: the publication's spec; the files under its `records` are read.
        repo_id: namespace and name.

    Raises:
        InputError: a record is missing or wrong.
    """
    kind = {"dataset": _dataset, "report": _space}.get(publication["kind"], _model)
    metadata, template, values = kind(publication, repo_id)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "cell": _cell, "against": _against}
    text = environment.get_template(template).render(title=publication["name"], repo_id=repo_id, **values)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return f"---\n{metadata}\n---\n\n{text}\n"


def _model(publication: dict, repo_id: str) -> tuple[str, str, dict]:
    records, kind = publication["records"], publication["kind"]
    spec, data = read_yaml(records["spec"]), read_yaml(records["data"])
    method = {"sft": "sft", "reward_model": None}.get(kind, spec.get("method"))
    given = spec.get("hyperparameters") or spec.get("sft") or spec.get("train") or {}
    adapter = (Path(publication["folder"]) / "adapter_config.json").is_file()
    base = hub_id((spec.get("model") or spec.get("base") or {}).get("path", ""))
    if adapter:  # what it needs may be another than what training started from, which may be an adapter itself
        named = read_json(Path(publication["folder"]) / "adapter_config.json").get("base_model_name_or_path")
        base = hub_id(named or "") or base
    winrates, on_sets = _winrates(records, publication["of"])
    what = "A reward model" if kind == "reward_model" else "A policy"
    values = {
        "kind": kind,
        "library": "peft" if adapter else "transformers",
        "form": _form(Path(publication["folder"]), adapter) if kind == "reward_model" else None,
        "summary": f"{what} trained on {data['name']}" + (f", from {base}." if base else "."),
        "method": METHODS[method].CARD if method else REWARD_MODEL,
        "hyperparameters": {name: value for name, value in given.items() if name != "model"},
        "data": describe_source(data),
        "winrates": winrates,
        "on_sets": on_sets,
        "several_decodings": len({row["decoding"] for row in winrates}) > 1,
        "limits": [caveat.reason for caveat in caveats.read(caveats.of_rows([*winrates, *on_sets]))],
        "judge": publication.get("judge"),
        "accuracies": [read_json(path) for path in records.get("calibration", [])],
        "reverse": spec.get("reverse", False),
    }
    metadata = ModelCardData(
        license=publication.get("license"),
        library_name=values["library"],
        base_model=base,
        datasets=[found] if (found := hub_id(data.get("path", ""))) else None,
        tags=["trl", "preference-optimization", method or "reward-model"],
        pipeline_tag="text-generation" if kind != "reward_model" else "text-classification",
        model_name=publication["name"] if winrates else None,
        eval_results=[_eval_result(row, data) for row in [*winrates, *on_sets] if row.get(SET) != ALL] or None,
    )
    return metadata.to_yaml().strip(), "model.md.jinja", values


def _form(folder: Path, adapter: bool) -> str:
    """What the files of a trained reward model are."""
    if adapter:
        return "an adapter with the head of a sequence classifier, which needs its base model"
    score_model = read_json(folder / "config.json")["architectures"] == ["LlamaForScore"]
    return "a score model in safe-rlhf's format" if score_model else "a sequence classifier with one label"


def _dataset(publication: dict, repo_id: str) -> tuple[str, str, dict]:
    records = publication["records"]
    card, data = read_json(records["card"]), read_yaml(records["data"])
    groups = {"default": "data/", "scored": "scored/"}
    splits = {
        name: {Path(path).stem: path for path in publication["files"] if path.startswith(folder)}
        for name, folder in groups.items()
    }
    configs = [
        {"config_name": name, "data_files": [{"split": split, "path": path} for split, path in files.items()]}
        for name, files in splits.items()
        if files
    ]
    metadata = DatasetCardData(
        license=publication.get("license"),
        tags=["preference", "trl"],
        source_datasets=[found] if (found := hub_id(data.get("path", ""))) else None,
        configs=configs,
    )
    values = {
        "card": {"label_noise": None, "mix": None, **card},
        "data": describe_source(data),
        "dropped": {reason: count for reason, count in card["dropped"].items() if count},
        "scored": splits["scored"],
        "reward_model": publication.get("reward_model"),
        "accuracies": [read_json(path) for path in records.get("calibration", [])],
    }
    return metadata.to_yaml().strip(), "dataset.md.jinja", values


def _space(publication: dict, repo_id: str) -> tuple[str, str, dict]:
    metadata = {
        **{"title": publication["name"], "emoji": "📈", "colorFrom": "blue", "colorTo": "gray", "sdk": "static"},
        **{"app_file": "index.html", "pinned": False},
        **({"license": publication["license"]} if "license" in publication else {}),
    }
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).strip(), "space.md.jinja", {}


def hub_id(path: str) -> str | None:
    """A path as a hub id; None for a local path, which says nothing to others."""
    return path if HUB_ID.fullmatch(path) and not Path(path).exists() else None


def describe_source(data: dict) -> str:
    """Where a dataset is from, in a sentence.

    Args:
        data: a data spec.
    """
    if data["source"] == "world":
        return "The pairs are from the workflow's embedded world, a small English world of questions about objects."
    if data["source"] == "mix":
        parts = ", ".join(f"{part['dataset']} (weight {part['weight']:g})" for part in data["mix"])
        return f"The pairs are a mix of the datasets {parts}; the column source names the one that a row is from."
    revision = f", revision {data['revision']}" if "revision" in data else ""
    place = f"{found}{revision}" if (found := hub_id(data["path"])) else "local files"
    return f"The pairs are from {place}, read as the source {data['source']}."


def _winrates(records: dict, of: dict) -> tuple[list[dict], list[dict]]:
    """The rows of the win-rate table on a model: of the split, and of sets of prompts, which name theirs."""
    if "winrate" not in records:
        return [], []
    table = read_set_rates(records["winrate"])
    run = of.get("run")
    about = (table["run"] == run) if run else (table["run"] == "sft")
    rows = table[(table["dataset"] == of["dataset"]) & (table["model"] == of["model"]) & about]
    if SET not in table.columns:
        return rows.to_dict("records"), []
    beside = rows[SET] != table[SET].iloc[0]
    return rows[~beside].drop(columns=SET).to_dict("records"), rows[beside].to_dict("records")


def _against(opponent: str) -> str:
    return "the dataset's chosen responses" if opponent == CHOSEN else CALLED.get(opponent, opponent)


def _eval_result(row: dict, data: dict) -> EvalResult:
    """A row as the hub has it: on the dataset, or on the set of prompts that it names."""
    measured = "right answers" if row["baseline"] == CHECK else f"win rate against {_against(row['baseline'])}"
    interval = f"95% interval {number(row['win_rate_low'])} to {number(row['win_rate_high'])}"
    limits = "".join(f", {caveat.words}" for caveat in caveats.read(row["caveats"]))
    decoded = f", decoding {row['decoding']}" if row["decoding"] else ""
    return EvalResult(
        task_type="text-generation",
        dataset_type=row.get(SET) or hub_id(data.get("path", "")) or data["name"],
        dataset_name=row.get(SET) or data["name"],
        metric_type="win_rate",
        metric_name=f"{measured}, per cent ({interval}{decoded}{limits})",
        metric_value=row["win_rate"],
    )


def number(value: object, digits: int = 1) -> str:
    """A number with fixed digits, a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def _cell(value: object) -> str:
    """A value in a cell of a Markdown table."""
    return str(value).replace("|", "\\|").replace("\n", " ")
