"""Entries of models."""

from pipeline.config.fields import by_presence, choice, flag, mapping, named, number, section, several, text, whole

VARIABLE = "^[A-Za-z_]\\w*$"  # of a chat template
DATE = "2024-07-26"  # pipeline.models.manners has the same
TRUST_REMOTE_CODE = flag("Run the code that the model's repository brings along.")
PLAIN_TEMPLATE = text(
    "Plain text around a prompt, for a model whose tokenizer has no chat template; {prompt}, the only braces, stands "
    "for the prompt, in a dialogue for each turn of the user.",
    pattern="^[^{}]*\\{prompt\\}[^{}]*$",
    maxLength=10_000,
    default="Human: {prompt}\n\nAssistant: ",
)
LORA = {
    "r": whole("Rank of the adapters.", default=64),
    "alpha": number("Scale; the update is multiplied by alpha / r.", exclusiveMinimum=0, default=16),
    "dropout": number("Dropout in front of the adapters.", minimum=0, exclusiveMaximum=1, default=0),
    "target_modules": {
        "description": "Layers that get adapters: all-linear, or a list of names.",
        "anyOf": [
            text("All linear layers.", const="all-linear"),
            several("Names of layers.", text("A layer's name, or its end."), uniqueItems=False),
        ],
        "default": "all-linear",
    },
}
PRETRAINED = mapping(
    "A pretrained model.",
    {
        "path": text("Hub id or local folder of the model.", minLength=1, examples=["Qwen/Qwen1.5-0.5B"]),
        "revision": text("Commit, tag or branch on the hub."),
        "adapter": choice(
            "Train LoRA adapters (lora), the same on weights in 4 bits (qlora: nf4, double quantisation; needs CUDA "
            "and envs/requirements-gpu.txt), or all weights (none).",
            ("lora", "qlora", "none"),
            default="lora",
        ),
        "lora": section("The LoRA adapters; not for adapter none.", LORA),
        "sft": {
            "description": "Whether policies start from an SFT model; false: from the model as it is, for one that "
            "is tuned to instructions already. The config's `sft: false` is for all models.",
            "type": "boolean",
        },
        "plain_template": PLAIN_TEMPLATE,
        "chat_template_kwargs": {
            "description": "Variables of the chat template, the same wherever the model is trained, sampled or "
            "measured, such as enable_thinking.",
            "type": "object",
            "additionalProperties": False,
            "patternProperties": {VARIABLE: {"description": "Its value."}},
            "examples": [{"enable_thinking": False}],
        },
        "date": text(
            "Today, for a chat template that writes today's date: year-month-day, the same on every day. "
            f"{DATE} when absent.",
            minLength=10,
            examples=[DATE],
        ),
        "strip_thoughts": {
            "description": "Take the block <think>…</think> off the policy's answers before reward models and judges "
            "see them; it stays part of what is generated. When absent, where the chat template knows such a block.",
            "type": "boolean",
        },
        "trust_remote_code": TRUST_REMOTE_CODE,
    },
    required=("path",),
)
SHAPE = {
    "model_type": choice("Architecture by its name in transformers.", ("qwen2", "llama")),
    "hidden_size": whole("Width of the residual stream.", examples=[128]),
    "num_hidden_layers": whole("Number of layers.", examples=[3]),
    "num_attention_heads": whole("Number of attention heads; it divides hidden_size.", examples=[4]),
    "num_key_value_heads": whole("Key and value heads; as many as attention heads when absent.", examples=[4]),
    "intermediate_size": whole("Width of the feed-forward layers.", examples=[384]),
    "max_position_embeddings": whole("Most tokens of a sequence.", minimum=8, examples=[256]),
}
SCRATCH = mapping(
    "A model trained from scratch by the SFT rule.",
    {
        "architecture": mapping(
            "The model's shape.", SHAPE, required=[key for key in SHAPE if key != "num_key_value_heads"]
        ),
        "vocab_size": whole(
            "Most entries of the tokenizer's vocabulary, which is trained on the dataset.", minimum=16, default=512
        ),
        "adapter": choice("All weights are trained.", ("none",), default="none"),
        "plain_template": PLAIN_TEMPLATE,
    },
    required=("architecture",),
)
MODELS = {"path": PRETRAINED, "architecture": SCRATCH}
MODEL = by_presence("A policy: pretrained (path) or trained from scratch (architecture).", MODELS, short="path")
SCHEMA = named("Named policies.", MODEL, title="Models")
