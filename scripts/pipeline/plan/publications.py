"""What each published repository is made from: its files, and the records that its card tells of."""

from pipeline.columns.pairs import UNLABELLED
from pipeline.config.reward_training import reward_dataset
from pipeline.plan.files import SPLITS, Plan
from pipeline.plan.unlabelled import partly_labelled

TABLES = ("winrate", "cost")


def publication_spec(plan: Plan, repository: dict) -> dict:
    """What a repository is uploaded from, and what `pipeline.publishing` reads.

    Args:
        repository: one of `pipeline.publishing.plan.repositories`.

    Returns:
        {kind, repo_type, name, private, of, files: {name there: path}}; namespace and license where the config gives
        them; folder, of a checkpoint; records: {name: path or paths}; reward_model or judge, where the card names it.
    """
    given = plan.settings.config["publish"]
    spec = {key: repository[key] for key in ("kind", "repo_type", "name")}
    spec |= {key: given[key] for key in ("namespace", "license") if key in given}
    return spec | {"private": repository["private"], "of": repository["of"], "files": {}, **_parts(plan, repository)}


def publication_inputs(spec: dict) -> dict[str, str | list[str]]:
    """Inputs of an upload: files and records; of a checkpoint its manifest, which tells one from another."""
    manifest = {"manifest": spec["folder"].removesuffix("model") + "manifest.json"} if "folder" in spec else {}
    return {"files": list(spec["files"].values()), **spec.get("records", {}), **manifest}


def _parts(plan: Plan, repository: dict) -> dict:
    """Of a publication's spec: folder or files, records, and names that its card has."""
    of, kind = repository["of"], repository["kind"]
    if kind == "report":
        tables = {f"{name}.csv": f"results/{name}.csv" for name in TABLES}
        return {"files": {"index.html": "results/report.html"} | tables}
    dataset = of["dataset"]
    records = {"data": f"results/specs/data/{dataset}.yaml"}
    if kind == "dataset":
        splits = (*SPLITS, UNLABELLED) if dataset in partly_labelled(plan) else SPLITS
        files = {f"data/{split}.parquet": f"results/data/{dataset}/{split}.parquet" for split in splits}
        files |= {f"scored/{split}.parquet": plan.bt_split(dataset, split) for split in plan.scored_splits}
        records |= {"card": f"results/data/{dataset}/card.json", "calibration": plan.calibrations(dataset)}
        return {"files": files, "records": records, "reward_model": plan.settings.reward_model_name(dataset)}
    if kind == "reward_model":
        spec = f"results/specs/reward/{of['reward_model']}{plan.reward_chain(of['reward_model'])}.yaml"
        trained_on = reward_dataset(plan.settings, dataset, of["reward_model"])
        records = {"data": f"results/specs/data/{trained_on}.yaml"}
        records |= {"spec": spec, "calibration": plan.calibrations(dataset)}
        return {"folder": plan.reward_model_path(dataset, of["reward_model"]), "records": records}
    place = f"{dataset}/{of['model']}"
    if kind == "sft":
        chain = plan.start_chain(of["model"], plan.settings.seeds[0])
        spec, folder = f"results/specs/sft/{place}{chain}.yaml", plan.start_path(dataset, of["model"], chain)
    else:
        spec = f"results/specs/policy/{place}/{of['run']}.yaml"
        folder = f"results/policies/{place}/{of['run']}/seed{of['seed']}/model"
    records |= {"winrate": "results/winrate.csv", "spec": spec}
    return {"folder": folder, "records": records, "judge": plan.settings.judge_name(dataset)}
