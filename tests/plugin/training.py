"""What the tests of the trainer share: their arguments, and what they read off a trainer."""

from types import SimpleNamespace

import torch

ARGUMENTS = {
    "max_steps": 4,
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-2,
    "max_length": 64,
    "logging_steps": 1,
    "activation_checkpointing": False,
    "bf16": False,
    "use_cpu": True,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "seed": 7,
}
ROLLOUTS = {"rollout_max_new_tokens": 6, "rollout_prompts": 6, "rollout_batch_size": 5}
METHODS = {
    "ddp": {"r": 0.5},
    "dpp": {"p": 0.5},
    "dpr": {"g": 0.5},
    "mix": {"r": 0.2, "p": 0.3, "g": 0.3, "revkl": 0.1},
}
COLUMNS = ("ref_chosen_logps", "ref_rejected_logps")


def assert_same_weights(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], **tolerance or {"rtol": 0, "atol": 0})


def history(trainer):
    """What was logged, without times."""
    skip = ("runtime", "per_second")
    return [{k: v for k, v in entry.items() if not k.endswith(skip)} for entry in trainer.state.log_history]


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def logps(model, tokenizer, prompt_ids, response_ids):
    """Σ log π of a response, by a plain forward pass on this one sequence."""
    ids = torch.tensor([prompt_ids + response_ids])
    with torch.no_grad():
        predicted = model(ids).logits[0, len(prompt_ids) - 1 : -1].log_softmax(-1)
    return predicted.gather(1, torch.tensor(response_ids)[:, None]).sum().item()


def completions_of(batch, row):
    """Prompt, chosen and rejected ids of a row of a collated batch."""
    size = len(batch["input_ids"]) // 2

    def part(i, completion):
        mask = batch["attention_mask"][i].bool() & (batch["completion_mask"][i].bool() == completion)
        return batch["input_ids"][i][mask].tolist()

    return part(row, False), part(row, True), part(row + size, True)


def spy_on_batches(trainer):
    """Keeps, per micro batch, what the loss was given before and after rows were replaced."""
    seen, replace = [], trainer._replace_rows

    def spy(inputs, routes):
        after = replace(inputs, routes)
        seen.append(SimpleNamespace(before=inputs, drawn=routes, after=after[0], routes=after[1], pairs=after[2]))
        return after

    trainer._replace_rows = spy
    return seen
