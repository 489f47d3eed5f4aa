"""Time the SAIL plugin against TRL's trainers, whole processes in turn.

Every measurement is a process of its own, so that peak memory is its own too; the compared ones take turns, and the
table has the median of the repeats' ratios. Needs an SFT model and its dataset, which the default run makes.

    python scripts/benchmark.py trainers steps online --repeats 5 --output results/benchmark_trainers.json

Benchmarks:
    steps   seconds per optimizer step: DPOTrainer, SAILTrainer with everything off, DDP.
    online  seconds per pair that is generated, labelled and trained on, every row online and used once:
            TRL's OnlineDPOTrainer, SAIL's DPR; and the floor, DPO on as many offline pairs (dpo_offline).
    prompt  seconds per optimizer step of DPO, and with each pair's prompt computed once.
    sweep   seconds per run, four methods with three seeds: each run its own reference log-probabilities, or shared.
    length  seconds per DPR step by response length.
    size    seconds per DPR step by model size.
"""

import argparse
import json
import tempfile
import time
from functools import partial
from importlib import import_module
from pathlib import Path

from benchmarks.measuring import RANGE, compare, formatted_table, in_a_process, options_of, parser_of
from pipeline.jobs.io import InputError, read_parquet, write_json

MODEL, DATA = Path("results/sft/fair-world/W1M/model"), Path("results/data/fair-world/train.parquet")
REFERENCE = Path("results/reference/fair-world/W1M/train.parquet")
ROLLOUTS = {"rollout_prompts": 128, "rollout_batch_size": 256, "rollout_max_new_tokens": 48}
LENGTHS, WIDTHS = (16, 32, 64, 128), (64, 128, 256, 384)

# Per benchmark: the cases that take turns; the first is what the others are measured against.
BENCHMARKS = {
    "steps": [{"trainer": "dpo"}, {"trainer": "off"}, {"trainer": "ddp"}],
    "online": [{"trainer": "online_dpo"}, {"trainer": "dpr_all"}, {"trainer": "dpo_offline"}],
    "prompt": [{"trainer": "off"}, {"trainer": "shared"}],
    "sweep": [{"trainer": "reference_each"}, {"trainer": "reference_shared"}],
    "length": [{"trainer": "dpr_fixed", "tokens": tokens} for tokens in LENGTHS],
    "size": [{"trainer": "dpr_fixed", "width": width} for width in WIDTHS],
}
# Of a table, with the format of each cell.
COLUMNS = {"case": "{case}", "seconds": "{seconds:.4f}", "per": "{measurements[0][unit]}"}
COLUMNS |= {"ratio to the first (range)": RANGE, "peak MiB": "{peak_mib:.0f}"}


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("trainers", __doc__)
    parser.add_argument("benchmarks", nargs="+", choices=BENCHMARKS, help="what to measure")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each case")
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps of a measurement")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs per step")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of each process")
    parser.add_argument("--model", type=Path, default=MODEL, help="SFT model, folder")
    parser.add_argument("--data", type=Path, default=DATA, help="train split, parquet")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="its reference log-probabilities, parquet")
    arguments = parser.parse_args(argv)
    for path in (arguments.model, arguments.data, arguments.reference):
        if not path.exists():
            raise InputError(f"{path}: not there; `make run` makes it")
    if arguments.case is not None:
        print(json.dumps(measure(arguments.case, arguments)))
        return
    results = {name: measure_all(name, arguments) for name in arguments.benchmarks}
    for name, rows in results.items():
        print(f"\n{name}\n{formatted_table(rows, COLUMNS)}")
    write_json(results, arguments.output)


def measure_all(name: str, arguments: argparse.Namespace) -> list[dict]:
    """The cases of a benchmark, measured in turn: a row each, with medians over the repeats."""
    options = [name, *options_of(arguments, "steps", "batch_size", "threads", "model", "data", "reference")]
    cases = {" ".join(map(str, case.values())): case for case in BENCHMARKS[name]}
    return compare(cases, arguments.repeats, partial(in_a_process, "trainers", options=options))


def measure(case: dict, arguments: argparse.Namespace) -> dict:
    """Run one case: {seconds (of a unit), unit, peak_mib}."""
    from transformers import logging

    from pipeline.models.devices import device_from_arguments
    from pipeline.training.running import peak_memory_mib

    arguments.device, arguments.side_by_side = "auto", 0
    device = device_from_arguments(arguments)
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        seconds, units, unit = CASES[case["trainer"]](case, arguments, device, scratch)
    return {"seconds": seconds / units, "unit": unit, "peak_mib": peak_memory_mib(device)}


def trainer_settings(arguments: argparse.Namespace, device, scratch: str, **changes) -> dict:
    """What all trainers are given."""
    size, on_gpu = arguments.batch_size, device.type == "cuda"
    settings = {"output_dir": scratch, "max_steps": arguments.steps, "max_length": 256, "disable_tqdm": True}
    settings |= {"per_device_train_batch_size": size, "learning_rate": 1e-5, "lr_scheduler_type": "constant"}
    settings |= {"activation_checkpointing": False, "save_strategy": "no", "report_to": "none"}
    return settings | {"bf16": on_gpu, "use_cpu": not on_gpu} | changes


def load(arguments: argparse.Namespace, reference: bool):
    """Model, tokenizer and the dataset as DPOTrainer takes it, with its reference log-probabilities or without."""
    from datasets import Dataset

    from pipeline.models.checkpoints import load_policy, load_tokenizer

    tokenizer = load_tokenizer(str(arguments.model))
    frame = read_parquet(arguments.data, ["prompt", "chosen", "rejected"])
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    columns = {name: [[{"role": role, "content": text}] for text in frame[name]] for name, role in roles.items()}
    if reference:
        known = read_parquet(arguments.reference, ["row", "ref_chosen_logps", "ref_rejected_logps"]).set_index("row")
        columns |= {name: known.loc[range(len(frame)), name].tolist() for name in known}
    dataset = Dataset.from_dict(columns)
    return load_policy(str(arguments.model), trainable=True, dtype="float32"), tokenizer, dataset


def time_training(trainer, arguments: argparse.Namespace, unit: str) -> tuple[float, int, str]:
    """Seconds of a trainer's train(), for how many units, and the unit: step or pair."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    started = time.perf_counter()
    trainer.train()
    units = arguments.steps * (arguments.batch_size if unit == "pair" else 1)
    return time.perf_counter() - started, units, unit


def words(prompts: list, completions: list, **columns) -> list[float]:
    """The reward of the benchmarks: the number of words, so that it costs nothing."""
    return [float(len(completion[0]["content"].split())) for completion in completions]


def trained(library: str, kind: str, unit: str, **changes):
    """DPOTrainer; SAILTrainer with the dataset's reference log-probabilities; TRL's OnlineDPOTrainer."""

    def case_function(case, arguments, device, scratch):
        module = import_module(library)
        model, tokenizer, dataset = load(arguments, reference=kind == "SAIL")
        dataset = dataset.select_columns(["prompt"]) if kind == "OnlineDPO" else dataset
        args = getattr(module, f"{kind}Config")(**trainer_settings(arguments, device, scratch, **changes))
        inputs = {"train_dataset": dataset, "processing_class": tokenizer}
        inputs |= {} if kind == "DPO" else {"reward_funcs": words}
        return time_training(getattr(module, f"{kind}Trainer")(model, args=args, **inputs), arguments, unit)

    return case_function


def dpr_fixed(case, arguments, device, scratch):
    """DPR at half the rows, a model with random weights (its responses go to the limit), by length or by width."""
    from pipeline.models.checkpoints import new_policy
    from sail import SAILConfig, SAILTrainer

    width, tokens, dataset = case.get("width", 128), case.get("tokens", 48), load(arguments, reference=True)[2]
    shape = {"hidden_size": width, "intermediate_size": 3 * width, "num_hidden_layers": 3}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 512}
    texts = [message[0]["content"] for name in ("prompt", "chosen", "rejected") for message in dataset[name]]
    model, tokenizer = new_policy({"architecture": {"model_type": "qwen2", **shape}, "vocab_size": 512}, texts, 0)
    model.save_pretrained(f"{scratch}/model")
    tokenizer.save_pretrained(f"{scratch}/model")
    rollouts = {"g": 0.5, "rollout_prompts": 64, "rollout_batch_size": 128, "rollout_max_new_tokens": tokens}
    args = SAILConfig(**trainer_settings(arguments, device, scratch, **rollouts, max_age=16))
    trainer = SAILTrainer(
        f"{scratch}/model", args=args, train_dataset=dataset, processing_class=tokenizer, reward_funcs=words
    )
    return time_training(trainer, arguments, "step")


def sweep(shared: bool):
    """Four methods with three seeds each, a pass over steps × batch-size pairs each; trainers are made within."""

    def case_function(case, arguments, device, scratch):
        from transformers import PrinterCallback
        from trl import DPOConfig, DPOTrainer

        from pipeline.training.reference import reference_logps
        from sail import ReferenceColumnsDPOTrainer, SAILConfig, SAILTrainer

        methods = {"dpo": {}, "ddp": {"r": 0.4}, "dpp": {"p": 0.3}, "dpr": {"g": 0.3}}
        dataset = load(arguments, reference=shared)[2]
        dataset = dataset.select(range(min(len(dataset), arguments.steps * arguments.batch_size)))
        started = time.perf_counter()
        if shared:
            spec = {"model": {}, "max_length": 256}
            frame = read_parquet(arguments.data, ["prompt_id", "prompt", "chosen", "rejected"]).head(len(dataset))
            reference_logps(spec, frame, str(arguments.model), device, scratch)
        for method, shares in methods.items():
            for seed in range(3):
                model, tokenizer, _ = load(arguments, reference=False)
                settings = trainer_settings(arguments, device, scratch, seed=seed)
                if method == "dpo":
                    cls = ReferenceColumnsDPOTrainer if shared else DPOTrainer
                    args, extra = DPOConfig(**settings, precompute_ref_log_probs=True), {}
                else:
                    cls, args = SAILTrainer, SAILConfig(**settings, **shares, **ROLLOUTS)
                    extra = {"reward_funcs": words if method == "dpr" else None}
                trainer = cls(model, args=args, train_dataset=dataset, processing_class=tokenizer, **extra)
                trainer.remove_callback(PrinterCallback)
                trainer.train()
        return time.perf_counter() - started, 12, "run"

    return case_function


CASES = {
    "dpo": trained("trl", "DPO", "step", precompute_ref_log_probs=True),  # computed before the clock starts
    "off": trained("sail", "SAIL", "step"),
    "ddp": trained("sail", "SAIL", "step", r=0.4),
    "shared": trained("sail", "SAIL", "step", share_prompt=True),
    "online_dpo": trained("trl.experimental.online_dpo", "OnlineDPO", "pair", max_new_tokens=48, temperature=1.0),
    # Every row online, each pair used once.
    "dpr_all": trained("sail", "SAIL", "pair", g=1.0, **ROLLOUTS, max_age=16),
    # The reference's forward pass included: training without any generation.
    "dpo_offline": trained("trl", "DPO", "pair"),
    "reference_each": sweep(shared=False),
    "reference_shared": sweep(shared=True),
    "dpr_fixed": dpr_fixed,
}
