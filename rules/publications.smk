# What each published repository is made from. No rules here.
from pipeline.publishing.plan import repositories

try:
    PUBLICATIONS = {repository.key: repository for repository in repositories(settings)}
except ConfigError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    repository=r"(datasets|models|spaces)/[A-Za-z0-9_.-]+",


def publication_spec(repository):
    """The spec of a publication: the repository, its files, and the records that its card is made from."""
    given = settings.config["publish"]
    spec = {"kind": repository.kind, "repo_type": repository.repo_type, "name": repository.name}
    spec |= {key: given[key] for key in ("namespace", "license") if key in given}
    spec |= {"private": repository.private, "of": repository.of, "files": {}, **publication_parts(repository)}
    return spec


def publication_parts(repository):
    """Of a publication's spec: folder or files, records, and names that its card has."""
    of, kind = repository.of, repository.kind
    if kind == "report":
        return {
            "files": {"index.html": "results/report.html"} | {f"{name}.csv": f"results/{name}.csv" for name in TABLES}
        }
    records = {"data": f"results/specs/data/{of['dataset']}.yaml"}
    judge = settings.judge_name(of["dataset"])
    reward_model = settings.reward_model_name(of["dataset"])
    place = f"results/calibration/{of['dataset']}/{reward_model}"
    calibration = [f"{place}/{split}.json" for split in ("train", SPLIT)]
    if kind == "dataset":
        files = {f"data/{split}.parquet": f"results/data/{of['dataset']}/{split}.parquet" for split in SPLITS}
        files |= {f"scored/{split}.parquet": bt_split(of["dataset"], split) for split in ("train", SPLIT)}
        records |= {"card": f"results/data/{of['dataset']}/card.json", "calibration": calibration}
        return {"files": files, "records": records, "reward_model": reward_model}
    if kind == "reward_model":
        records |= {"spec": f"results/specs/reward/{of['reward_model']}.yaml", "calibration": calibration}
        return {"folder": f"results/reward_models/{of['dataset']}/{of['reward_model']}/model", "records": records}
    place = f"{of['dataset']}/{of['model']}"
    records["winrate"] = "results/winrate.csv"
    if kind == "sft":
        records["spec"] = f"results/specs/sft/{place}.yaml"
        return {"folder": f"results/sft/{place}/model", "records": records, "judge": judge}
    records["spec"] = f"results/specs/policy/{place}/{of['run']}.yaml"
    folder = f"results/policies/{place}/{of['run']}/seed{of['seed']}/model"
    return {"folder": folder, "records": records, "judge": judge}


TABLES = ("winrate", "cost")
SPLITS = ("train", "selection", "eval")


def publication_inputs(repository):
    """Inputs of an upload: files and records; of a checkpoint its manifest, which tells one from another."""
    parts = publication_parts(repository)
    inputs = {"files": list(parts.get("files", {}).values())}
    for name, path in parts.get("records", {}).items():
        inputs[name] = path
    if "folder" in parts:
        inputs["manifest"] = parts["folder"].removesuffix("model") + "manifest.json"
        inputs["folder"] = ancient(parts["folder"])
    return inputs
