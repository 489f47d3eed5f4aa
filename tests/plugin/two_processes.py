"""A small SAIL run as one of several processes, which writes down what it sampled and, as the first, its weights.

accelerate launch --num_processes 2 … -m plugin.two_processes CHECKPOINT FOLDER '{"p": 0.5, …}'
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from plugin.resumable import trainer
from sail.engine import Engine, merged_weights
from sail.objective import DPP, OFFLINE
from sail.sharding import whole_parameters


def record_rollouts(run, sampled: list, refills: list) -> None:
    """Let `sampled` grow by every pair that this process samples, `refills` by how many they were at a time."""
    extend = run.pool.extend

    def recording(pairs):
        refills.append(len(pairs))
        sampled.extend([pair.prompt_ids, *pair.response_ids] for pair in pairs)
        extend(pairs)

    run.pool.extend = recording


def shard_and_generate(checkpoint: str, out: Path) -> None:
    """Generate with a model that torch's FSDP2 has sharded, as many tokens on each rank as it likes; then train it."""
    accelerator = Accelerator(cpu=True)
    accelerator.state.fsdp_plugin = SimpleNamespace(reshard_after_forward=True)
    rank, prompt = accelerator.process_index, torch.tensor([[70, 71, 72]])
    limits = {"max_new_tokens": (12, 3)[rank], "do_sample": False, "eos_token_id": None}
    whole, model = (AutoModelForCausalLM.from_pretrained(checkpoint) for _ in range(2))
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for _ in range(2):  # before the first forward pass, and after a step
        with whole_parameters(model, accelerator):
            tokens = model.generate(prompt, **limits)
        sharded = all(isinstance(parameter, DTensor) for parameter in model.parameters())
        equal = torch.equal(tokens, whole.generate(prompt, **limits))
        for some in (model, whole):
            some(input_ids=prompt, labels=prompt).loss.backward()
            torch.optim.SGD(some.parameters(), lr=0.01).step()
            some.zero_grad()
    synced = sync_shards(checkpoint, mesh, accelerator)
    losses = [some(input_ids=prompt, labels=prompt).loss.item() for some in (model, whole)]
    trains = abs(losses[0] - losses[1]) < 1e-5
    result = {"tokens": tokens.size(1) - 3, "as_unsharded": equal, "sharded_again": sharded}
    result |= {"trains": trains, "synced": synced}
    (out / f"gathered-{rank}.json").write_text(json.dumps(result))
    torch.distributed.destroy_process_group()


def sync_shards(checkpoint: str, mesh, accelerator) -> bool:
    """Whether an engine gets the merged weights of a sharded LoRA model, which stays as it was."""
    whole, model = (adapted(checkpoint) for _ in range(2))
    for layer in model.get_base_model().model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    wanted = dict(merged_weights(whole))
    before = [parameter.full_tensor() for parameter in model.parameters()]
    dist = SimpleNamespace(gather_params=lambda parameters: nullcontext())
    engine = SimpleNamespace(model=model, accelerator=accelerator, _dist=dist)
    sent = {name: tensor.clone() for name, tensor in Engine._iter_named_params(engine)}
    after = [parameter.full_tensor() for parameter in model.parameters()]
    given = sent.keys() == wanted.keys() and all(torch.equal(sent[name], wanted[name]) for name in wanted)
    return given and all(map(torch.equal, before, after))


def adapted(checkpoint: str):
    """The checkpoint with a LoRA adapter that changes something."""
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(checkpoint), LoraConfig(target_modules=["q_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(len(name)))
    return model


def main(checkpoint: str, folder: str, settings: str) -> None:
    settings, out = json.loads(settings), Path(folder)
    if settings.pop("shard_and_generate", False):
        shard_and_generate(checkpoint, out)
        return
    only_rank, sharded = settings.pop("only_rank", None), settings.pop("sharded", False)
    run = trainer(checkpoint, AutoTokenizer.from_pretrained(checkpoint), out, save_strategy="no", **settings)
    rank, sampled, refills = run.accelerator.process_index, [], []
    if settings.get("p") or settings.get("g"):
        record_rollouts(run, sampled, refills)
        run._together = sharded
    if only_rank is not None:
        route = DPP if rank == only_rank else OFFLINE
        run._draw_routes = lambda size: torch.full((size,), route)
    run.train()
    (out / f"sampled-{rank}.json").write_text(json.dumps(sampled))
    (out / f"refills-{rank}.json").write_text(json.dumps(refills))
    weights = run.accelerator.get_state_dict(run.model_wrapped)
    if rank == 0:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, out / "final.safetensors")
        (out / "log.json").write_text(json.dumps(run.state.log_history))


if __name__ == "__main__":
    main(*sys.argv[1:])
