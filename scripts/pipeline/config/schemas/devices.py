"""Entries of devices."""

from pipeline.config.fields import choice, mapping, named, number, section, text, whole

BATCHES = {
    "sft": whole("Most sequences while fine-tuning.", default=32),
    "policy": whole("Most pairs while training a policy.", default=16),
    "reward": whole("Most pairs while training a reward model.", default=16),
    "reference": whole("Most pairs while computing log-probabilities.", default=16),
    "generate": whole("Most prompts while generating.", default=128),
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
            "Rows that one process holds at a time; the global batch is reached by accumulation. The defaults are for "
            "the embedded model.",
            BATCHES,
        ),
    },
)
SCHEMA = named("Named machines to run on. Nothing here changes what is computed.", DEVICE, title="Devices")
