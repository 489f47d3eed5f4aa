"""What of a config a device can do: the global batch of a training as rows per device × processes × accumulation steps.

The global batch belongs to the task; the machine only says how it is cut.
"""

from pipeline.config.schemas.devices import AUTO, SMALL
from pipeline.jobs.io import InputError


def batch_sizes(entry: dict, loaded: bool) -> dict[str, int | str]:
    """The batch sizes of a device's entry by stage: where the model is not loaded but made, `auto` is a number."""
    given = entry["per_device_batch_size"]
    return {stage: SMALL[stage] if most == AUTO and not loaded else most for stage, most in given.items()}


def divisors(number: int) -> list[int]:
    """What divides a number, the largest first."""
    return [n for n in range(number, 0, -1) if number % n == 0]


def split_batch(most: int | str, global_batch_size: int, processes: int, stage: str, where: str) -> tuple[int, int]:
    """Rows per device and step, and accumulation steps, whose product with the processes is the global batch.

    Args:
        most: the device's per_device_batch_size of the stage; fewer where the global batch needs no more. With auto it
            is 1, until it is known how many rows fit.
        stage: sft, policy or reward, for the message.
        where: device or machine, for the message.

    Raises:
        InputError: there is no such number of steps; the message has the numbers that would fit.
    """
    if global_batch_size % processes:
        below, above = global_batch_size // processes * processes, -(-global_batch_size // processes) * processes
        fits = f"{below} or {above}" if below else f"{above}"
        divisors = [n for n in range(1, processes + 1) if global_batch_size % n == 0]
        raise InputError(
            f"{where}: a global batch of {global_batch_size} is not a multiple of {processes} processes; "
            f"a global batch of {fits} would be, and so would processes one of {divisors}"
        )
    per_device = 1 if most == AUTO else min(int(most), global_batch_size // processes)
    accumulation, rest = divmod(global_batch_size, per_device * processes)
    if rest:
        fits = [n for n in range(1, global_batch_size + 1) if global_batch_size % (n * processes) == 0]
        raise InputError(
            f"{where}: a global batch of {global_batch_size} is not a multiple of {per_device} rows per "
            f"device × {processes} processes; per_device_batch_size.{stage} could be one of {fits}"
        )
    return per_device, accumulation


def check_device(settings) -> None:
    """Every training of a config can be done on its device, as far as the config tells.

    Args:
        settings: a `pipeline.config.settings.Settings`.

    Raises:
        InputError: a global batch cannot be cut, or weights in 4 bits are to be where they cannot.
    """
    entry = settings.device_entry()
    adapters = {f"model {name}": settings.entries["models"][name]["adapter"] for name in settings.models}
    for dataset, name in settings.used_reward_models:
        train = settings.reward_spec(dataset, name).get("train", {})
        adapters[f"reward model {name}"] = train.get("adapter", "none")
        tuned = train and train.get("sft", True) and settings.entries["models"][train["model"]]["adapter"] == "none"
        if tuned and train.get("adapter", "none") != "none" and _is_sharded(entry):
            raise InputError(
                f"device {settings.device}, reward model {name}: its adapters are merged in the end, as its SFT model "
                f"is trained in all weights, of which {entry['distributed']} holds parts; use ddp, zero2 or sft: false"
            )
    for trained, adapter in adapters.items():
        if adapter != "qlora":
            continue
        what = f"device {settings.device}, {trained}: adapter qlora"
        if entry["accelerator"] == "cpu":
            raise InputError(f"{what} needs CUDA; use a device that has it, or adapter lora")
        if _is_sharded(entry):
            raise InputError(f"{what} has weights that {entry['distributed']} cannot hold in parts; use ddp or zero2")
    check_global_batches(settings)


def _is_sharded(device: dict) -> bool:
    return device["processes"] > 1 and device["distributed"] in ("fsdp2", "zero3")


def check_global_batches(settings) -> None:
    """Every training of a config can be cut for its device.

    Args:
        settings: a `pipeline.config.settings.Settings`.

    Raises:
        InputError: as `split_batch`, naming the training.
    """
    entry = settings.device_entry()
    models = [settings.entries["models"][name] for name in settings.models]
    loaded = all("path" in model for model in models)
    trainings = []
    if any(map(settings.has_sft, settings.models)):
        trainings.append(("sft", "sft", settings.config["sft"]["global_batch_size"], loaded))
    for run in settings.task_runs.values():
        if run.trained:
            trainings.append(("policy", f"run {run.name}", run.hyperparameters["global_batch_size"], loaded))
    for name in sorted({name for _, name in settings.used_reward_models}):
        if "train" in settings.entries["reward_models"][name]:
            train = settings.entries["reward_models"][name]["train"]
            base = settings.entries["models"][train["model"]]
            trainings.append(("reward", f"reward model {name}", train["global_batch_size"], "path" in base))
    for stage, what, size, loaded in trainings:
        most = batch_sizes(entry, loaded)[stage]
        split_batch(most, size, entry["processes"], stage, f"device {settings.device}, {what}")
