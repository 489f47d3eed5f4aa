"""Time the policies' trainings on a GPU beside TRL's own DPOTrainer, with models of random weights in published shapes.

Each cell is a training of a LoRA adapter (rank 64 on all linear layers) with the published 32 pairs in a step; as many
pairs side by side as fit, found once for a setting, and activation checkpointing only where one pair does not fit
without. Random weights hardly ever end a response, so sampled ones have the full length: the most that rollouts cost.

    python scripts/benchmark.py gpu --seconds 540
    python scripts/benchmark.py gpu "0.5B-*" t4/dpr --resume
    python scripts/benchmark.py gpu --tiny "0.5B-256/*"

A cell is SETTING/METHOD, with what is switched on behind it: 0.5B-1024/dpo+share_prompt. They are measured in the order
of their weight, the results are written after each, and with --seconds the last one ends in time.

Settings:
    0.5B-256, 0.5B-1024, 1.5B-…, 3.8B-…, 8B-…   bf16, so many tokens of prompt and as many of response, in the shapes of
                Qwen1.5-0.5B, Qwen2.5-1.5B, Phi-3-mini and Llama-3-8B.
    t4          Qwen1.5-0.5B's shape as the device t4 trains it: fp16, one pair at a time, 1,024 tokens, 8 pairs a step,
                in 14.5 GiB, which torch is allowed no more than.
Methods: trl (TRL's DPOTrainer with the same arguments, the reference's log-probabilities known), dpo, ddp, dpp, dpr.
Switches: share_prompt, kernels, tf32, workers, static (of rollouts), checkpointing, full (all weights), varied (lengths
from a quarter on), by_length.

Share of the peak: 4·P·tokens (6·P where all weights are trained) of the sequences that a step trains on, over the
card's dense peak; rollouts take time and count no tokens. It needs torch with CUDA, transformers, trl, peft,
accelerate, datasets and pandas (envs/requirements.lock), a C compiler for Triton, and nothing of the network.
"""

import argparse
import random
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import FITTED_ANEW, LORA, METHODS, SETTINGS, SHAPES, SWITCHES, T4_GIB, TINY, chosen_cells
from benchmarks.clock import Clock, memory, peak_flops
from benchmarks.measuring import formatted_table, parser_of
from pipeline.config.schemas.devices import AUTO
from pipeline.jobs.io import InputError, read_json, write_json
from pipeline.models.devices import Device, named_device

# A setting's first cell is not begun with less time left: its model is made, and how many pairs fit is tried.
FIRST_SECONDS = 20
# Of a table, with the format of each cell.
COLUMNS = {"cell": "{cell}", "pairs side by side": "{rows}", "steps/s": "{steps_per_second:.3g}"}
COLUMNS |= {"tokens/s": "{tokens_per_second:.0f}", "of the peak": "{peak_share}", "over DPO": "{overhead}"}
COLUMNS |= {"rollouts of a step": "{rollout_share:.0%}", "tokens computed": "{computed_tokens:.0f}"}
COLUMNS |= {"GiB in use": "{allocated_gib:.1f}", "held": "{reserved_gib:.1f}"}


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("gpu", __doc__)
    parser.add_argument("cells", nargs="*", help="cells or patterns of them; all where there are none")
    parser.add_argument("--steps", type=int, default=8, help="optimizer steps of a cell, at least 2")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to have ended")
    parser.add_argument("--resume", action="store_true", help="leave out what the output has")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, on a CPU where there is no GPU")
    arguments = parser.parse_args(argv)
    arguments.deadline = time.monotonic() + arguments.seconds
    if not torch.cuda.is_available() and not arguments.tiny:
        raise InputError("there is no CUDA device; --tiny runs on a CPU, where `benchmark.py trainers` measures")
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    done = _done(arguments, card)
    with tempfile.TemporaryDirectory() as scratch:
        for cell in [name for name in chosen_cells(arguments.cells) if name not in done]:
            alike = [row["wall_seconds"] for name, row in done.items() if name.partition("/")[0] in cell]
            if time.monotonic() + max(alike, default=FIRST_SECONDS) > arguments.deadline:
                print(f"{cell} may not end within the {arguments.seconds:.0f} seconds; --resume goes on", flush=True)
                break
            done[cell] = _measured(cell, arguments, card, Path(scratch))
            print(f"{cell}: {done[cell]}", flush=True)
            write_json({"device": card, "steps": arguments.steps, "cells": done}, arguments.output)
    print(table(done, card))


def _done(arguments: argparse.Namespace, card: str) -> dict[str, dict]:
    """The cells that an earlier run measured, or found not to fit."""
    if not arguments.resume or not arguments.output.is_file():
        return {}
    known = read_json(arguments.output)
    if known["device"] != card:
        raise InputError(f"{arguments.output}: measured on {known['device']}, this is {card}; give another --output")
    return {cell: row for cell, row in known["cells"].items() if row.get("error", "out of memory") == "out of memory"}


def _measured(cell: str, arguments: argparse.Namespace, card: str, scratch: Path) -> dict:
    """A cell's row, or what went wrong with it; in the end its memory is free."""
    from pipeline.training.fitting import free

    started, row = time.monotonic(), {}
    try:
        row = train(cell, arguments.steps, arguments.tiny, arguments.deadline, scratch)
    except torch.OutOfMemoryError:
        row = {"error": "out of memory"}
    except Exception as error:  # the cells after it are measured all the same
        row = {"error": f"{type(error).__name__}: {error}"}
    free()
    if peak := peak_flops(card, "fp16" if cell.startswith("t4") else "bf16"):
        row |= {"peak_share": row["flops_per_second"] / peak} if "flops_per_second" in row else {}
    return row | {"wall_seconds": time.monotonic() - started}


def train(cell: str, steps: int, tiny: bool, deadline: float, scratch: Path) -> dict:
    """Train one cell's policy.

    Returns:
        rows, checkpointing, steps (measured), seconds_per_step with rollouts, and what follows from it; memory.
    """
    from transformers import PrinterCallback, logging

    from pipeline.models.checkpoints import training_dtype
    from pipeline.training.fitting import fit

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    name, _, method = cell.partition("/")
    method, *switches = method.split("+")
    setting = SETTINGS[name] | ({"prompt": 12, "response": 8, "pairs": 4, "rollout_prompts": 4} if tiny else {})
    shape = SHAPES[setting["shape"]] | (TINY if tiny else {})
    device = device_of(name, switches)
    entry = {"adapter": "none"} if "full" in switches else LORA
    model, parameters = new_model(shape, entry, device, training_dtype(entry, device))
    tokens, dataset = pairs_of(setting, shape["vocab_size"], setting["pairs"] * steps, "varied" in switches)
    hyperparameters = hyperparameters_of(setting, steps, METHODS[method], "by_length" in switches)
    folder = scratch / "+".join([name, *(switch for switch in switches if switch in FITTED_ANEW)])
    trainer = trainer_of(
        method, entry, hyperparameters, model, tokenizer_of(shape["vocab_size"]), dataset, device, folder
    )
    batch = fit(trainer, "policy", device, folder) or {"checkpointing": trainer.args.activation_checkpointing}
    trainer.remove_callback(PrinterCallback)
    if METHODS[method].keys() & {"p", "g"}:  # what the first use of generation takes is not counted
        count, new = (hyperparameters["rollout_prompts"], setting["response"]) if "static" in switches else (1, 2)
        trainer._sampled([dataset["prompt_ids"][0]] * 2 * count, new)
    clock = Clock(trainer, deadline)
    trainer.add_callback(clock)
    with memory(device, T4_GIB if name == "t4" else None) as used:
        trainer.train()
    seconds, rollouts = clock.seconds(hyperparameters)
    per_second = setting["pairs"] * tokens / seconds
    return {
        "rows": trainer.args.per_device_train_batch_size,
        "checkpointing": batch["checkpointing"],
        "steps": len(clock.ends),
        "seconds_per_step": seconds,
        "rollout_share": rollouts / seconds,
        "steps_per_second": 1 / seconds,
        "tokens_per_second": per_second,
        "flops_per_second": (6 if "full" in switches else 4) * parameters * per_second,
        "computed_tokens": clock.computed / len(clock.ends),
        **used,
    }


def device_of(name: str, switches: list[str]) -> Device:
    """This GPU in bf16 with as many rows as fit, or as the device t4 has it; else this CPU."""
    on_gpu = torch.cuda.is_available()
    sizes: dict[str, int | str] = {"policy": AUTO, "generate": AUTO, "reference": 16}
    device = Device("benchmark", "cuda", torch.bfloat16, "sdpa", sizes, "a GPU", checkpoint_seconds=1e9)
    if name == "t4":
        t4 = (
            named_device("t4") if on_gpu else replace(device, batch_sizes={"policy": 1, "generate": 16, "reference": 4})
        )
        device = replace(t4, checkpoint_seconds=1e9)
    changes = {key: value for switch in switches for key, value in SWITCHES[switch].items()}
    return replace(device, **changes, **({} if on_gpu else {"type": "cpu", "dtype": torch.float32}))


def new_model(shape: dict, entry: dict, device: Device, dtype: torch.dtype) -> tuple[Any, int]:
    """A model with random weights, adapted as the entry says, and its number of parameters without the adapter's."""
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from pipeline.models.checkpoints import peft_config

    fields = {"eos_token_id": 0, "pad_token_id": 1, "bos_token_id": None, "max_position_embeddings": 4096}
    torch.manual_seed(0)
    with torch.device(device.torch_device):
        config = AutoConfig.for_model(**shape, **fields)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=device.attention)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lora = peft_config(entry)
    return (get_peft_model(model, lora) if lora else model), parameters


@cache
def tokenizer_of(vocabulary: int):
    """A tokenizer of words, of which token 0 ends a response."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = {"<eos>": 0, "<pad>": 1} | {f"w{i}": i for i in range(2, vocabulary)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")


def pairs_of(setting: dict, vocabulary: int, count: int, varied: bool):
    """Pairs of random words as text and in tokens, with a reference's log-probabilities.

    Args:
        varied: lengths from a quarter of the setting's on, else all as the setting has them.

    Returns:
        The mean tokens of a pair's two sequences together, and the dataset.
    """
    from datasets import Dataset

    rng = random.Random(0)
    columns: dict[str, list] = {}
    total = 0
    for _ in range(count):
        share = rng.uniform(0.25, 1) if varied else 1
        lengths = [max(int(share * setting[part]), 2) for part in ("prompt", "response", "response")]
        prompt, *both = [[rng.randrange(2, vocabulary) for _ in range(length)] for length in lengths]
        row = {"prompt": _words(prompt) + " ", "chosen": _words(both[0][:-1]), "rejected": _words(both[1][:-1])}
        row |= {"prompt_ids": prompt, "chosen_ids": [*both[0][:-1], 0], "rejected_ids": [*both[1][:-1], 0]}
        for key, value in (row | {"ref_chosen_logps": -900.0, "ref_rejected_logps": -900.0}).items():
            columns.setdefault(key, []).append(value)
        total += 2 * lengths[0] + lengths[1] + lengths[2]
    return total / count, Dataset.from_dict(columns)


def _words(ids: list[int]) -> str:
    return " ".join(f"w{i}" for i in ids)


def hyperparameters_of(setting: dict, steps: int, weights: dict, by_length: bool) -> dict:
    """The published hyperparameters; where there are weights, also these and rollouts as long as the responses."""
    length = setting["prompt"] + setting["response"]
    common = {
        **{"learning_rate": 1e-5, "epochs": 1, "max_steps": steps, "warmup_steps": 2, "lr_scheduler": "cosine"},
        **{"optimizer": "rmsprop", "weight_decay": 0.0, "max_length": length, "global_batch_size": setting["pairs"]},
        **{"beta": 0.1, "label_smoothing": 0.0, "loss_type": "sigmoid", "group_by_length": by_length},
    }
    rollouts = {"rollout_prompts": setting["rollout_prompts"], "rollout_max_new_tokens": setting["response"]}
    return common | (rollouts | {"rollout_temperature": 0.9, "max_age": 8} | weights if weights else {})


def trainer_of(
    method: str, entry: dict, hyperparameters: dict, model, tokenizer, dataset, device: Device, folder: Path
):
    """TRL's DPOTrainer, or the pipeline's trainer of a method."""
    from trl import DPOConfig, DPOTrainer

    from pipeline.jobs.parts import load_part
    from pipeline.training.policy import Start, quicken
    from pipeline.training.running import add_lengths

    spec = {"model": entry, "method": method, "hyperparameters": hyperparameters}
    texts, ids = ["prompt", "chosen", "rejected"], ["prompt_ids", "chosen_ids", "rejected_ids"]
    rewards = lengths_as_rewards if method == "dpr" else None
    dataset = dataset.remove_columns(ids if method == "trl" else texts[1:])
    start = Start(spec, model, tokenizer, dataset, 1, device, str(folder), rewards)
    if method != "trl":
        trainer = load_part("methods", method, "trainer").trainer(start)
        trainer.train_dataset = add_lengths(trainer.train_dataset)
        quicken(trainer, device)
        return trainer
    trainer = DPOTrainer(model, args=start.arguments(DPOConfig), train_dataset=dataset, processing_class=tokenizer)
    trainer.precompute_ref_logps = True  # the dataset has them
    return trainer


def lengths_as_rewards(completion_ids: list, **columns) -> list[float]:
    """A reward that costs nothing: the number of tokens."""
    return [float(len(ids)) for ids in completion_ids]


def table(done: dict[str, dict], card: str) -> str:
    """The measured cells as a Markdown table, and what went wrong with the others."""
    rows = []
    for cell, row in done.items():
        if "error" in row:
            continue
        dpo = done.get(f"{cell.partition('/')[0]}/dpo", {}).get("seconds_per_step")
        share = f"{row['peak_share']:.0%}" if "peak_share" in row else ""
        rows.append(row | {"cell": cell, "peak_share": share})
        rows[-1]["overhead"] = f"{row['seconds_per_step'] / dpo - 1:+.0%}" if dpo else ""
    wrong = [f"{cell}: {row['error']}" for cell, row in done.items() if "error" in row]
    return "\n".join([f"\n{card}", formatted_table(rows, COLUMNS), *wrong])
