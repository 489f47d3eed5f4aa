"""What TRL's and transformers' trainers keep under names with an underscore: it is read, set and called here alone.

Any release may change it, hence the range in `sail.versions`. A class that overrides a parent's method of such a name
does that itself, and there calls the parent's method of that name.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from trl.kernels import chunked_logprob


def tokenizer_of(trainer: Any) -> Any:
    """The tokenizer of a trainer's processing class."""
    return trainer._tokenizer


def prepared(trainer: Any, dataset: Any, name: str) -> Any:
    """A dataset in tokens, as a trainer makes its train dataset; `name` is for its bar of progress."""
    return trainer._prepare_dataset(dataset, trainer.processing_class, trainer.args, name)


def run_folder(trainer: Any, trial: Any) -> str:
    """The folder that holds the checkpoints of a run."""
    return trainer._get_output_dir(trial=trial)


def add_metric(trainer: Any, name: str, value: float) -> None:
    """Add a value to those whose mean is the next log's of that name."""
    trainer._metrics["train"][name].append(value)


def count_tokens(trainer: Any, tokens: Any) -> None:
    """Count tokens that this process trains on, with those of the other ones, for a trainer that counts none.

    Args:
        tokens: a tensor of one number.
    """
    counted = trainer.accelerator.gather(tokens).sum().item()
    trainer._total_train_tokens = getattr(trainer, "_total_train_tokens", 0) + counted


def trained_tokens(trainer: Any) -> int:
    """Tokens that a training has read so far, over all processes, as it counts them itself; 0 where it does not."""
    return int(max(getattr(trainer, "_total_train_tokens", 0), trainer.state.num_input_tokens_seen))


def _values(trainer: Any) -> dict:
    """{metric: values since the last line of the log}: TRL's trainers have three names for it."""
    if hasattr(trainer, "stats"):
        return trainer.stats
    return (trainer._stored_metrics if hasattr(trainer, "_stored_metrics") else trainer._metrics)["train"]


def unlogged(trainer: Any) -> dict:
    """What the next line of a training's log is made from: the losses and metrics since the last one.

    Returns:
        {loss: summed, tensor on the CPU, step: of the last line, metrics: {name: values}, tokens: seen so far}.
    """
    return {
        "loss": trainer._tr_loss.detach().cpu(),
        "step": trainer._globalstep_last_logged,
        "metrics": {name: list(values) for name, values in _values(trainer).items()},
        "tokens": getattr(trainer, "_total_train_tokens", 0),
    }


def load_unlogged(trainer: Any, log: dict) -> None:
    """Put what `unlogged` gave into a trainer that goes on."""
    trainer._tr_loss = log["loss"].to(trainer.args.device)
    trainer._globalstep_last_logged = log["step"]
    values = _values(trainer)
    values.clear()
    values.update({name: list(found) for name, found in log["metrics"].items()})
    trainer._total_train_tokens = log["tokens"]


def buffer_of(trainer: Any) -> dict:
    """What GRPOTrainer and RLOOTrainer have sampled and not trained on, on the CPU.

    Returns:
        {step: micro-batches so far, batches: of one generation, or None where the next step samples anew}.
    """
    step, every = trainer._step, trainer.args.steps_per_generation * trainer.num_iterations
    return {"step": step, "batches": _on(trainer._buffered_inputs, "cpu") if step % every else None}


def load_buffer(trainer: Any, buffer: dict) -> None:
    """Put what `buffer_of` gave into a trainer that goes on."""
    trainer._step, trainer._buffered_inputs = buffer["step"], _on(buffer["batches"], trainer.accelerator.device)


def _on(batches: list[dict] | None, device: Any) -> list[dict] | None:
    """Batches with their tensors on a device."""
    if batches is None:
        return None
    return [{key: part.to(device) if hasattr(part, "to") else part for key, part in batch.items()} for batch in batches]


def attention_of(model: Any) -> str:
    """The implementation of attention that a model of transformers has."""
    return model.config._attn_implementation


def keeps_state(model: Any) -> bool:
    """Whether a model of transformers has layers with a state in place of keys and values."""
    return model._is_stateful


def wrap_train_sampler(trainer: Any, wrap: Callable[[Any], Any]) -> None:
    """Let a trainer draw its rows with `wrap(sampler)` for the sampler that it makes (None where it makes none)."""
    make = trainer._get_train_sampler
    trainer._get_train_sampler = lambda *args, **kwargs: wrap(make(*args, **kwargs))


def set_batch(trainer: Any, rows: int, steps: int, checkpointing: bool) -> None:
    """Set the rows per device, the accumulation steps and activation checkpointing of a trainer that has not begun."""
    args = trainer.args
    if hasattr(args, "steps_per_generation"):  # of micro-batches, whose generations stay as many
        args.steps_per_generation = args.steps_per_generation * args.per_device_train_batch_size // rows
    args.per_device_train_batch_size, args.gradient_accumulation_steps = rows, steps
    trainer._train_batch_size = args.train_batch_size
    args.activation_checkpointing = args.gradient_checkpointing = checkpointing
    if checkpointing and hasattr(trainer.model, "peft_config"):
        trainer.model.enable_input_require_grads()


@contextmanager
def logits_of(tokens: int | None) -> Iterator[None]:
    """Let TRL's fused head hold the logits of so many tokens at a time; as many as it likes with None."""
    before = chunked_logprob.TOKEN_CHUNK_SIZE
    chunked_logprob.TOKEN_CHUNK_SIZE = tokens or before
    try:
        yield
    finally:
        chunked_logprob.TOKEN_CHUNK_SIZE = before


@contextmanager
def engine_options(**options: Any) -> Iterator[None]:
    """Let TRL make its colocated engines with these arguments of vLLM's `LLM` too."""
    from trl.generation import vllm_generation

    engine = getattr(vllm_generation, "LLM", None)
    if engine is None:  # vLLM is not installed, which TRL says
        yield
        return
    vllm_generation.LLM = partial(engine, **options)
    try:
        yield
    finally:
        vllm_generation.LLM = engine


def weights_for(generation: Any) -> Iterator[tuple[str, Any]]:
    """The names and weights that TRL's `VLLMGeneration` gives its engine."""
    return generation._iter_named_params()


def gathered(generation: Any) -> AbstractContextManager:
    """The parameters of the model of TRL's `VLLMGeneration`, gathered where ZeRO-3 shards them."""
    return generation._dist.gather_params(list(generation.model.parameters()))


def colocated_model(generation: Any) -> Any:
    """What runs the model of a colocated engine of TRL's `VLLMGeneration`, in this process."""
    return generation.llm.llm_engine.model_executor.driver_worker.model_runner
