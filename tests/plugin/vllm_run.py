"""DPR with a colocated vLLM, and the same again from a checkpoint, for the environment of vLLM on a CPU.

python -m plugin.vllm_run CHECKPOINT FOLDER
"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer

from plugin.tiny import reward, rows, weights
from sail import SAILConfig, SAILTrainer


def trainer(checkpoint: str, folder: Path) -> SAILTrainer:
    """Four large steps, of which each samples anew."""
    args = SAILConfig(
        str(folder),
        g=0.7,
        max_steps=4,
        use_vllm=True,
        vllm_importance_sampling_correction=True,
        vllm_importance_sampling_clip_max=None,
        rollout_temperature=0.8,
        rollout_max_new_tokens=8,
        rollout_prompts=8,
        max_age=0,
        per_device_train_batch_size=8,
        learning_rate=0.05,
        max_length=64,
        activation_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to="none",
        logging_steps=1,
        save_steps=1,
        disable_tqdm=True,
        seed=7,
    )
    lora = LoraConfig(r=8, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return SAILTrainer(
        checkpoint,
        args=args,
        train_dataset=Dataset.from_list(rows(32)),
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
        reward_funcs=reward,
        peft_config=lora,
    )


def watch(run: SAILTrainer) -> list:
    """The step and the responses of each refill to come."""
    sampled, extend = [], run.pool.extend

    def keep(pairs):
        sampled.append([run.state.global_step, [pair.response_ids for pair in pairs]])
        extend(pairs)

    run.pool.extend = keep
    return sampled


def main(checkpoint: str, folder: str) -> None:
    run = trainer(checkpoint, Path(folder))
    before, sampled = weights(run), watch(run)
    run.train()
    after = weights(run)
    again = trainer(checkpoint, Path(folder))
    repeated = watch(again)
    again.train(resume_from_checkpoint=f"{folder}/checkpoint-2")
    log = [entry for entry in run.state.log_history if "sail/engine_gap" in entry]
    found = {
        "gaps": [entry["sail/engine_gap_max"] for entry in log],
        "weights": [entry["sail/importance_weight"] for entry in log if "sail/importance_weight" in entry],
        "identical": [entry["sail/identical"] for entry in log],
        "moved": max((after[name] - before[name]).abs().max().item() for name in after if "lora_B" in name),
        "base": all(torch.equal(after[name], before[name]) for name in after if "lora_" not in name),
        "sampled": sampled,
        "repeated": repeated,
        "same": max((weights(again)[name] - after[name]).abs().max().item() for name in after),
    }
    print("FOUND", json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
