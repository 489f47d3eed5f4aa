"""Responses by the decoding backend vllm, for the environment of vLLM on a CPU.

python -m unit.generation.vllm_respond CHECKPOINT
"""

import json
import sys

import torch

from pipeline.backends.vllm.generate import vllm_responses
from pipeline.models.devices import Device

GREEDY = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 8}
SAMPLE = GREEDY | {"do_sample": True}


def main(checkpoint: str, ends: str) -> None:
    device = Device("cpu", "cpu", torch.float32, "sdpa", {"generate": 4}, "cpu")
    prompts, seeds = [[5, 6, 7], [8, 9], [5, 6, 7], [5, 6, 7]], [1, 2, 3, 1]
    given = prompts, checkpoint, {}, seeds, device, json.loads(ends)
    found = {"prompts": prompts, "greedy": vllm_responses(GREEDY, *given), "sampled": vllm_responses(SAMPLE, *given)}
    print("FOUND", json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
