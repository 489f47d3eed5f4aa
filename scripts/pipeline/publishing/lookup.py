"""Where the pairs of a tag and a name are: in results/, where these are of that tag, or on the hub, as published.

A name is a dataset's, whose pairs are the prepared ones, or a run's: then a response of the run is `chosen`, and the
dataset's own chosen response to that prompt `rejected`, so that bt_prob is the probability that the run's is preferred.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from pipeline.columns.pairs import SPLIT_COLUMNS
from pipeline.columns.responses import RESPONSE_TEXTS
from pipeline.jobs.io import InputError, read_parquet, read_yaml


def find_pairs(
    name: str, tag: str, namespace: str | None = None, results: str | Path = "results"
) -> str | dict[str, pa.Table]:
    """The pairs of a dataset or run of the config with that tag.

    Args:
        name: of the dataset or run.
        tag: of the config.
        namespace: user or organization that it is published under; that of the config's publications, else the user of
            HF_TOKEN, when None.
        results: folder of a workflow's results, which come first where they are of that tag.

    Returns:
        A local folder or a hub id of a dataset; of a run, {split: its pairs} with dataset, model, seed, prompt_id,
        prompt, chosen and rejected.

    Raises:
        InputError: it is in neither place; or the user is not known.
    """
    results = Path(results)
    table = results / "specs" / "runs.yaml"
    runs = read_yaml(table) if table.is_file() else {}
    if runs.get("tag") == tag:
        if list((results / "data" / name).glob("*.parquet")):
            return str(results / "data" / name)
        rows = [row for row in runs["runs"] if name in (row["run"], f"{row['dataset']}/{row['model']}/{row['run']}")]
        # under the first decoding of the config
        rows = [row for row in rows if row.get("decoding") == rows[0].get("decoding")]
        if rows:
            return {runs["split"]: _joined(_run_pairs(rows, runs["split"], results), rows)}
    return f"{namespace or _namespace(f'{tag}-{name}', results)}/{tag}-{name}"


def _run_pairs(rows: list[dict], split: str, results: Path) -> list[pa.Table]:
    tables = []
    for row in rows:
        data = read_parquet(results / "data" / row["dataset"] / f"{split}.parquet", SPLIT_COLUMNS)
        labelled = data[["prompt_id", "chosen"]].rename(columns={"chosen": "rejected"})
        for seed, files in row["seeds"].items():
            # paths of a table of runs begin with results/
            path = results.joinpath(*Path(files["responses"]).parts[1:])
            answers = read_parquet(path, RESPONSE_TEXTS).rename(columns={"response": "chosen"})
            pairs = answers.merge(labelled, on="prompt_id", validate="one_to_one")
            place = pd.DataFrame({"dataset": row["dataset"], "model": row["model"], "seed": seed}, index=pairs.index)
            tables.append(pa.Table.from_pandas(place.join(pairs), preserve_index=False))
    return tables


def _joined(tables: list[pa.Table], rows: list[dict]) -> pa.Table:
    try:
        return pa.concat_tables(tables)
    except pa.ArrowInvalid as error:
        places = ", ".join(f"{row['dataset']}/{row['model']}/{row['run']}" for row in rows)
        raise InputError(f"texts and dialogues make no table together; name one of {places} ({error})") from error


def _namespace(repository: str, results: Path) -> str:
    spec = results / "specs" / "publication" / "datasets" / f"{repository}.yaml"
    if spec.is_file() and "namespace" in (published := read_yaml(spec)):
        return published["namespace"]
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        return HfApi().whoami()["name"]
    except (HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError) as error:
        missing = isinstance(error, LocalTokenNotFoundError)
        reason = "HF_TOKEN is not set" if missing else " ".join(str(error).split())
        raise InputError(
            f"{results} has nothing of that tag and name, and whose dataset {repository} on the hub is meant is not "
            f"known ({reason}); give --namespace, or --dataset with a path or hub id"
        ) from error
