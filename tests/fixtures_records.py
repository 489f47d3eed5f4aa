"""Records of provenance for the results of `fixtures_results`: those of every job that its runs rest on."""

from pathlib import Path

from pipeline.jobs.io import read_yaml, write_json
from pipeline.jobs.records import RECORD, record_path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = {"name": "W1M", "path": "me/W1M", "adapter": "lora"}
PROMPT = "Which is better? <b>bold</b>"
# Seconds of each job: one reward model for DPR alone, an SFT model for all three runs.
SECONDS = {
    "prepare_data": 30,
    "train_sft": 90,
    "train_reward": 200,
    "compute_reference": 40,
    "train_policy": 100,
    "generate_responses": 10,
    "score_responses": 5,
    "judge_responses": 2,
}


def write_records(root: Path, device: str = "cpu", commit: str = COMMIT) -> None:
    """Write the records of a results tree that `build_results` made.

    Args:
        device: type of what the models ran on, in two processes.
    """
    shared = root / "shared"
    data, sft, reward = shared / "data/train.parquet", shared / "sft/model", shared / "reward/model"
    reference = shared / "reference/train.parquet"
    for folder in (data.parent, sft, reward, reference.parent):
        folder.mkdir(parents=True, exist_ok=True)

    def write(script, output, inputs, spec):
        output = Path(output)
        path = output.parent / RECORD if output.name in ("model", "cost.json", "train.parquet") else record_path(output)
        write_json(
            {
                "script": f"{script}.py",
                "commit": commit,
                "spec": spec,
                "inputs": {str(name): "ab" * 32 for name in inputs},
                "hub": {"me/W1M": {"kind": "model", "commit": "c" * 40}} if script == "train_sft" else {},
                "outputs": [str(output)],
                "packages": {"python": "3.11.7", "torch": "2.13.0"},
                "device": {"type": device, "dtype": "bfloat16", "description": "H100", "processes": 2},
                "machine": {"system": "Linux-6", "cpus": 8},
                "seconds": SECONDS[script],
                "finished": "2026-01-02T03:04:05+00:00",
            },
            path,
        )

    write("prepare_data", data, [], {"name": "world", "source": "world"})
    write("train_sft", sft, [data], {"model": MODEL})
    write("train_reward", reward, [data, sft], {"name": "rm", "train": {"model": "W1M"}})
    write("compute_reference", reference, [data, sft], {"model": MODEL})
    for run in read_yaml(root / "runs.yaml")["runs"]:
        for files in run["seeds"].values():
            policy = [sft]
            if "cost" in files:
                read = [data, reference, sft, *([reward] if run["method"] == "dpr" else [])]
                write("train_policy", files["cost"], read, {"model": MODEL, "run": run["run"]})
                policy = [Path(files["cost"]).parent / "model"]
            decoding = {"name": "sample", "temperature": 0.7}
            write(
                "generate_responses", files["responses"], [*policy, reference], {"model": MODEL, "decoding": decoding}
            )
            write("score_responses", files["scores"], [files["responses"], reward], {"name": "rm"})
            judge = {"name": "mine", "kind": "openai", "model": "m-1", "prompt": PROMPT}
            for verdicts in files["verdicts"].values():
                write("judge_responses", verdicts, [files["responses"]], judge)
