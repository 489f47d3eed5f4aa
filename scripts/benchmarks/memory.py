"""Peak memory and seconds of a DPO step, by the pairs that are side by side.

A model's folder, LoRA adapters as the entries of config/models.yaml have them, pairs that fill max_length. Every
measurement is a process of its own, as its memory is. `auto` is what `per_device_batch_size: auto` chooses here.

    python scripts/benchmark.py memory --model path/to/model --rows auto 8 --output results/benchmark_memory.json
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import formatted_table, in_a_process, in_turn, median_of, options_of, parser_of
from pipeline.jobs.io import write_json

ENTRY = {"name": "model", "adapter": "lora", "plain_template": "Human: {prompt}\n\nAssistant: "}
ENTRY |= {"lora": {"r": 64, "alpha": 16, "dropout": 0, "target_modules": "all-linear"}}
# Of a table, with the format of each cell.
COLUMNS = {"case": "{case}", "pairs side by side": "{rows}", "peak MiB": "{peak_mib:.0f}"}
COLUMNS |= {"seconds per step": "{seconds_per_step:.1f}"}
STEPS = 2  # the optimizer has all its memory in the second one


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("memory", __doc__)
    parser.add_argument("--model", type=Path, required=True, help="model, folder")
    parser.add_argument("--rows", nargs="+", default=["auto", 8], help="pairs side by side, or auto")
    parser.add_argument("--batch-size", type=int, default=8, help="pairs per step")
    parser.add_argument("--max-length", type=int, default=256, help="tokens of a prompt with its response")
    parser.add_argument("--repeats", type=int, default=1, help="measurements of each case")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of each process")
    parser.add_argument("--side-by-side", type=int, default=1, help="jobs on the machine at a time, for auto")
    parser.add_argument("--device", default="auto", help="name of an entry of config/devices.yaml")
    arguments = parser.parse_args(argv)
    if arguments.case is not None:
        print(json.dumps(measure(arguments.case, arguments)))
        return
    options = options_of(arguments, "model", "batch_size", "max_length", "threads", "side_by_side", "device")
    cases = {f"rows {rows}": rows for rows in arguments.rows}
    measured = in_turn(cases, arguments.repeats, lambda rows: in_a_process("memory", str(rows), options))
    table = [
        {"case": case, **{name: median_of(values, name) for name in ("rows", "peak_mib", "seconds_per_step")}}
        for case, values in measured.items()
    ]
    print(formatted_table(table, COLUMNS))
    write_json(table, arguments.output)


def measure(rows: str, arguments: argparse.Namespace) -> dict:
    """Two steps: {rows, peak_mib, seconds_per_step}."""
    from dataclasses import replace

    import pandas as pd
    from peft import get_peft_model
    from transformers import logging

    from pipeline.models.checkpoints import load_policy, load_tokenizer, peft_config, save_checkpoint
    from pipeline.models.devices import device_from_arguments
    from pipeline.training.fitting import fit, tile_tokens
    from pipeline.training.policy import policy_trainer
    from pipeline.training.running import peak_memory_mib
    from sail.internals import logits_of

    logging.set_verbosity_error()
    if rows != "auto":
        arguments.side_by_side = 0
    device = device_from_arguments(arguments)
    if rows != "auto":
        device = replace(device, batch_sizes=device.batch_sizes | {"policy": int(rows)})
    pairs = arguments.batch_size * STEPS
    text = "many words " * arguments.max_length
    frame = pd.DataFrame({"prompt": ["Say it."] * pairs, "chosen": [text] * pairs, "rejected": [f"No, {text}"] * pairs})
    logps = {"ref_chosen_logps": [-900.0] * pairs, "ref_rejected_logps": [-900.0] * pairs}
    reference = pd.DataFrame({"row": range(pairs), **logps})
    given = {"learning_rate": 1e-5, "epochs": 1, "warmup_steps": 0, "optimizer": "rmsprop"}
    given |= {"global_batch_size": arguments.batch_size, "max_length": arguments.max_length, "beta": 0.1}
    spec = {"dataset": "pairs", "model": ENTRY, "run": "dpo", "method": "dpo", "hyperparameters": given}
    with tempfile.TemporaryDirectory() as scratch:
        model = get_peft_model(load_policy(str(arguments.model)), peft_config(ENTRY))
        save_checkpoint(model, load_tokenizer(str(arguments.model)), f"{scratch}/model")
        del model
        with logits_of(tile_tokens(device, "policy")):
            trainer = policy_trainer(spec, frame, reference, f"{scratch}/model", 0, device, scratch)
            fit(trainer, "policy", device, scratch)
            started = time.perf_counter()
            trainer.train()
        seconds = (time.perf_counter() - started) / STEPS
    chosen = trainer.args.per_device_train_batch_size
    return {"rows": chosen, "peak_mib": peak_memory_mib(device), "seconds_per_step": seconds}
