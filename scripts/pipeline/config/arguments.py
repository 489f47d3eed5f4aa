"""Hyperparameters of a config as arguments of TRL's configs and `sail.SAILConfig`, in one table.

Where names differ, ours came with the published settings and are columns of `results/winrate.csv`.
"""

# Ours -> theirs, with the same values.
THEIR_NAMES = {
    "epochs": "num_train_epochs",
    "optimizer": "optim",
    "lr_scheduler": "lr_scheduler_type",
    "variance_baseline": "baseline",
}
# Ours that become other arguments, with other values.
CONVERTED = {
    "max_steps": lambda steps: {"max_steps": steps or -1},
    # the sampler by length reads the column `length`
    "group_by_length": lambda grouped: {
        "train_sampling_strategy": "group_by_length" if grouped else "random",
        "remove_unused_columns": not grouped,
    },
}
# What takes the place of epochs: what a budget is in the hyperparameters, and the steps or seconds of another run. A
# trainer has max_steps in place of them all.
BUDGETED = {
    **{"steps": "max_steps", "tokens": "budget_tokens"},
    **{"seconds": "budget_seconds", "relative": "budget_relative"},
}
LIKE = ("steps_like", "seconds_like")
EXTENTS = (*BUDGETED.values(), *LIKE)
# Ours that are no argument of a trainer: how the device cuts a batch; which data and which model are trained on; what
# became max_steps before.
NO_ARGUMENTS = (
    "global_batch_size",
    "responses",
    "model",
    "sft",
    "adapter",
    "lora",
    "dataset",
    "share",
    "budget",
    *LIKE,
)
# Theirs -> ours, for a config that has them by the names of the library.
OWN_NAMES = {theirs: ours for ours, theirs in THEIR_NAMES.items()} | {
    "train_sampling_strategy": "group_by_length",
    "per_device_train_batch_size": "global_batch_size",
    "gradient_accumulation_steps": "global_batch_size",
}


def trainer_options(hyperparameters: dict) -> dict:
    """The arguments that hyperparameters of a spec stand for.

    Every one is either an argument, under the name and with the value that the trainer's config class takes, or among
    NO_ARGUMENTS. A name that the class does not know is an error of the class, so none is dropped.
    """
    arguments = {}
    for name, value in hyperparameters.items():
        if name in CONVERTED:
            arguments |= CONVERTED[name](value)
        elif name not in NO_ARGUMENTS:
            arguments[THEIR_NAMES.get(name, name)] = value
    return arguments


def round_passes(hyperparameters: dict) -> int:
    """How often an epoch of a run goes through the prompts: once, but for rounds that each have all of them."""
    return hyperparameters["rounds"] if hyperparameters.get("round_prompts") == "all" else 1
