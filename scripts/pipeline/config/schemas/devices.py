"""Entries of devices."""

from pipeline.config.fields import Schema, choice, flag, mapping, named, number, section, text, whole

AUTO = "auto"
# What stages do with `auto` where the model is small, as one that is trained from scratch.
SMALL = {"sft": 32, "policy": 16, "reward": 16, "reference": 16, "generate": 128}


def rows(description: str, stage: str) -> Schema:
    """A batch size of a stage, or auto."""
    fixed = f"{description} auto is {SMALL[stage]} for a model trained from scratch."
    return {"default": AUTO, "anyOf": [choice(fixed, (AUTO,)), whole("So many.")]}


BATCHES = {
    "sft": rows("Most sequences while fine-tuning.", "sft"),
    "policy": rows("Most pairs while training a policy.", "policy"),
    "reward": rows("Most pairs while training a reward model.", "reward"),
    "reference": rows("Most pairs while computing log-probabilities.", "reference"),
    "generate": rows("Most prompts while generating.", "generate"),
    "score": whole("Most texts while scoring.", default=32),
    "score_tokens": whole("Most tokens of a batch while scoring, padding included.", default=16384),
}
DEVICE = mapping(
    "A machine.",
    {
        "accelerator": choice(
            "What computes: auto takes CUDA where there is one, else the CPU.", ("auto", "cpu", "cuda"), default="auto"
        ),
        "processes": whole(
            "Processes of a job that runs a model, one per accelerator of one machine; above 1, accelerate launches "
            "them.",
            default=1,
        ),
        "distributed": choice(
            "How the processes of a training job hold the model, by a file in config/accelerate: each all of it (ddp), "
            "or parts.",
            ("ddp", "fsdp2", "zero2", "zero3"),
            default="ddp",
        ),
        "precision": choice(
            "Number format; auto takes bf16 where the accelerator has it, fp16 on other CUDA devices, fp32 on CPU.",
            ("auto", "fp32", "fp16", "bf16"),
            default="auto",
        ),
        "attention": choice(
            "Attention implementation; auto takes sdpa.", ("auto", "eager", "sdpa", "flash_attention_2"), default="auto"
        ),
        "server_url": text(
            "OpenAI-compatible server for the decoding backend server; GENERATION_BASE_URL comes before it.",
            pattern="^https?://",
            examples=["http://localhost:8000/v1"],
        ),
        "checkpoint_seconds": number(
            "Seconds between two checkpoints of a training, the most work that a kill can lose; 0 for one after every "
            "step.",
            minimum=0,
            default=300,
        ),
        "per_device_batch_size": section(
            "Rows that one process holds at a time; the global batch is reached by accumulation. With auto "
            "a loaded model has as many as fit; one trained from scratch has 32 (sft), 128 (generate) or 16.",
            BATCHES,
        ),
        "activation_checkpointing": choice(
            "Whether layers are computed again in the backward pass, for less memory and more time. auto: where "
            "a batch size is auto, only if not even one row fits without; where it is a number, on CUDA.",
            (AUTO, "always", "never"),
            default=AUTO,
        ),
        "dollars_per_hour": number(
            "What an hour of a job on it costs, for the report: of all its processes together.",
            minimum=0,
            examples=[1.29],
        ),
        "share_prompt": flag(
            "Compute the prompt that chosen and rejected have in common once while training a policy; on CUDA with "
            "FlexAttention. A model whose attention cannot do so is refused."
        ),
        "kernels": flag(
            "Take kernels for layers from the Hugging Face Hub while training on CUDA. Without a network or the "
            "package kernels there are none, which the log says."
        ),
        "tf32": flag(
            "Multiply float32 as TF32 while training: fewer digits, more speed. Needs compute capability 8.0."
        ),
        "dataloader_workers": whole("Processes that make batches ready while training.", minimum=0, default=0),
        "generation_cache": choice(
            "Key-value cache of transformers' generation. static keeps one shape, for which kernels are compiled on "
            "CUDA; responses that have ended stay in the batch, and sampled ones are others, of the same distribution.",
            ("dynamic", "static"),
            default="dynamic",
        ),
        "cpu_share": number(
            "Share of the cores that a job with a model that is loaded has on a CPU, at least one core; as many such "
            "jobs as the cores allow share the machine's memory. Models trained from scratch have 1 thread, in SFT 2.",
            exclusiveMinimum=0,
            maximum=1,
            default=0.5,
        ),
    },
)
SCHEMA = named("Named machines to run on. Nothing here changes what is computed.", DEVICE, title="Devices")
