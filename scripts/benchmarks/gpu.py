"""Time the policies' trainings on a GPU and measure their memory, with models of random weights in published shapes.

Each method trains a LoRA adapter (rank 64 on all linear layers) with the published settings and the pipeline's own
trainers. Random weights hardly ever end a response, so sampled ones have the full length: the most that rollouts cost.

    python scripts/benchmark.py gpu 0.5B 3.8B t4 --output results/benchmark_gpu.json

Settings:
    0.5B, 3.8B  Qwen1.5-0.5B's and Phi-3-mini's shape in bf16: 128 tokens of prompt, 128 of response, 32 pairs a step.
    t4          Qwen1.5-0.5B's shape as profiles/t4 trains it: fp16, one pair at a time, 1,024 tokens.
"""

import gc
import random
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch
from transformers import PrinterCallback, TrainerCallback, logging

from benchmarks.measuring import formatted_table, parser_of
from pipeline.jobs.io import InputError, write_json
from pipeline.models.devices import Device, named_device, resolve_device

SHAPES = {
    "0.5B": {
        "model_type": "qwen2",
        **{"vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24},
        **{"num_attention_heads": 16, "num_key_value_heads": 16, "tie_word_embeddings": True},
    },
    "3.8B": {
        "model_type": "phi3",
        **{"vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32},
        **{"num_attention_heads": 32, "num_key_value_heads": 32, "tie_word_embeddings": False},
    },
}
BATCHES = {"sft": 4, "policy": 4, "reward": 4, "reference": 16, "generate": 128, "score": 16}
SETTINGS = {
    "0.5B": {"shape": "0.5B", "prompt": 128, "response": 128, "pairs": 32, "rollout_prompts": 64},
    "3.8B": {"shape": "3.8B", "prompt": 128, "response": 128, "pairs": 32, "rollout_prompts": 64},
    "t4": {"shape": "0.5B", "prompt": 896, "response": 128, "pairs": 8, "rollout_prompts": 4},
}
METHODS = {
    "dpo": {},
    "ddp": {"r": 0.4, "rho": 0.2},
    "dpp": {"p": 0.3, "pi": 0.2},
    "dpr": {"g": 0.3, "gamma": 0.3},
}
LORA = {"adapter": "lora", "lora": {"r": 64, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear"}}
# Of a table, with the format of each cell.
COLUMNS = {"method": "{method}", "steps/s": "{steps_per_second:.2f}", "over DPO": "{overhead:+.0%}"}
COLUMNS |= {"of a step rollouts": "{rollout_share:.0%}", "peak GiB allocated": "{allocated_gib:.1f}"}
COLUMNS |= {"reserved": "{reserved_gib:.1f}"}


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("gpu", __doc__)
    parser.add_argument("settings", nargs="+", choices=SETTINGS, help="what to measure")
    parser.add_argument("--steps", type=int, default=12, help="optimizer steps of a measurement")
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        raise InputError("there is no CUDA device; `benchmark.py trainers` measures on a CPU")
    results: dict[str, list[dict]] = {}
    for name in arguments.settings:
        with tempfile.TemporaryDirectory() as scratch:
            results[name] = measure(name, arguments.steps, Path(scratch))
        write_json({"device": torch.cuda.get_device_name(), "settings": results}, arguments.output)
    for name, rows in results.items():
        print(f"\n{name} on {torch.cuda.get_device_name()}\n{formatted_table(rows, COLUMNS)}")


def measure(name: str, steps: int, scratch: Path) -> list[dict]:
    """A row per method of one setting."""
    from pipeline.training.reference import reference_logps

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    setting = SETTINGS[name]
    device = device_of(name)
    entry = {"path": str(scratch / "base"), "plain_template": "{prompt} ", **LORA}
    save_models(SHAPES[setting["shape"]], entry, scratch, device)
    frame = random_pairs(setting, count=setting["pairs"] * 8)
    length = setting["prompt"] + setting["response"] + 8
    spec = {"model": entry, "max_length": length}
    reference = reference_logps(spec, frame, str(scratch / "sft"), device, str(scratch / "reference"))
    rows: list[dict] = []
    warm_up = hyperparameters_of(setting, length, 1, {"g": 1.0, "rollout_prompts": 4})
    train("dpr", warm_up, entry, frame, reference, device, scratch)
    for method, weights in METHODS.items():
        hyperparameters = hyperparameters_of(setting, length, steps, weights)
        rows.append({"method": method} | train(method, hyperparameters, entry, frame, reference, device, scratch))
        rows[-1]["overhead"] = rows[-1]["seconds_per_step"] / rows[0]["seconds_per_step"] - 1
        print(f"{name}: {rows[-1]}", flush=True)
    return rows


def device_of(name: str) -> Device:
    """The entry t4 for that setting, else this GPU in bf16 with the published rows per device."""
    if name == "t4":
        return named_device("t4")
    chosen = {"precision": "bf16", "attention": "sdpa", "checkpoint_seconds": 3600, "per_device_batch_size": BATCHES}
    return resolve_device("benchmark", {"accelerator": "cuda", "activation_checkpointing": "auto", **chosen})


def save_models(shape: dict, entry: dict, scratch: Path, device: Device) -> None:
    """The base model with random weights, base/, and an adapter on it that changes nothing yet, sft/."""
    from peft import get_peft_model
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    from pipeline.models.checkpoints import peft_config, save_checkpoint

    words = {"<eos>": 0, "<pad>": 1} | {f"w{i}": i for i in range(2, shape["vocab_size"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")
    fields = {"eos_token_id": 0, "pad_token_id": 1, "bos_token_id": None, "max_position_embeddings": 4096}
    config = AutoConfig.for_model(**shape, **fields)
    torch.manual_seed(0)
    with torch.device(device.type):
        model = AutoModelForCausalLM.from_config(config, dtype=device.dtype)
    save_checkpoint(model, fast, scratch / "base")
    model = AutoModelForCausalLM.from_pretrained(scratch / "base", dtype=device.dtype)
    save_checkpoint(get_peft_model(model, peft_config(entry)), fast, scratch / "sft")


def random_pairs(setting: dict, count: int) -> pd.DataFrame:
    """Preference pairs of random words with the setting's lengths in tokens."""
    rng = random.Random(0)
    size = SHAPES[setting["shape"]]["vocab_size"]

    def text(tokens: int) -> str:
        return " ".join(f"w{rng.randrange(2, size)}" for _ in range(tokens))

    rows = [(f"{i}", text(setting["prompt"]), *(text(setting["response"]) for _ in range(2))) for i in range(count)]
    return pd.DataFrame(rows, columns=["prompt_id", "prompt", "chosen", "rejected"])


def hyperparameters_of(setting: dict, length: int, steps: int, weights: dict) -> dict:
    """The published hyperparameters; where there are weights, also these and rollouts as long as the responses."""
    common = {
        **{"learning_rate": 1e-5, "epochs": 1, "max_steps": steps, "warmup_steps": 2, "lr_scheduler": "cosine"},
        **{"optimizer": "rmsprop", "weight_decay": 0.0, "max_length": length, "global_batch_size": setting["pairs"]},
        **{"beta": 0.1, "label_smoothing": 0.0, "loss_type": "sigmoid"},
    }
    rollouts = {"rollout_prompts": setting["rollout_prompts"], "rollout_max_new_tokens": setting["response"]}
    rollouts |= {"rollout_temperature": 0.9, "max_age": 8}
    return common | (rollouts | weights if weights else {})


def train(method: str, hyperparameters: dict, entry: dict, frame, reference, device: Device, scratch: Path) -> dict:
    """Seconds per step, rollouts included, and memory of one training."""
    from pipeline.training.policy import policy_trainer

    spec = {"model": entry, "method": method, "hyperparameters": hyperparameters}
    rewards = {"reward_function": lengths if method == "dpr" else None}
    trainer = policy_trainer(spec, frame, reference, str(scratch / "sft"), 1, device, str(scratch / method), **rewards)
    trainer.remove_callback(PrinterCallback)
    clock = Clock(trainer)
    trainer.add_callback(clock)
    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    # A refill serves several steps: its seconds are shared out by the pairs that a step takes.
    share = hyperparameters.get("p", 0.0) + hyperparameters.get("g", 0.0)
    sampled = trainer._prompts_drawn if share else 1
    rollouts = clock.rollout_seconds[-1] / sampled * share * hyperparameters["global_batch_size"]
    seconds = clock.training_seconds() + rollouts
    row = {
        "steps": hyperparameters["max_steps"],
        "seconds_per_step": seconds,
        "rollout_seconds_per_step": rollouts,
        "steps_per_second": 1 / seconds,
        "rollout_share": rollouts / seconds,
        "allocated_gib": torch.cuda.max_memory_allocated() / 2**30,
        "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
    }
    del trainer, clock
    gc.collect()
    torch.cuda.empty_cache()
    return row


class Clock(TrainerCallback):
    """When the optimizer steps of a training end, and how long its rollouts had taken by then."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.ends: list[float] = []
        self.rollout_seconds: list[float] = []

    def on_step_end(self, args, state, control, **kwargs):
        torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.rollout_seconds.append(getattr(self.trainer, "rollout_seconds", 0.0))

    def training_seconds(self) -> float:
        """The median step's seconds without its rollouts; the first step, which warms up, is left out."""
        spent = [end - rollouts for end, rollouts in zip(self.ends, self.rollout_seconds, strict=True)]
        return statistics.median([after - before for before, after in pairwise(spent)] or [0.0])


def lengths(prompts: list, completions: list, **columns) -> list[float]:
    """A reward that costs nothing: the number of characters."""
    return [float(len(completion)) for completion in completions]
