"""Entries of reward models."""

from pipeline.config.fields import by_presence, choice, flag, mapping, named, number, text, whole
from pipeline.config.hyperparameters import TRAINING
from pipeline.config.schemas.models import LORA, TRUST_REMOTE_CODE
from pipeline.jobs.parts import part_names

FORMATS = part_names("reward_formats")
# What the reward trainer can train with: text pairs are of encoders. The default comes first.
TRAINABLE = ["chat_template", *(name for name in FORMATS if name not in ("chat_template", "text_pair"))]
SCORED = "longer ones lose the beginning of the prompt. The model's own maximum when absent."
CHECKPOINT = mapping(
    "A reward model from the hub or from disk.",
    {
        "path": text("Hub id or local folder of the checkpoint.", minLength=1, examples=["openbmb/Eurus-RM-7b"]),
        "revision": text("Commit, tag or branch on the hub."),
        "reverse": {
            "description": "Lower is better in the checkpoint: the sign of its scores is turned. null: if its config "
            "says score_type cost.",
            "type": ["boolean", "null"],
            "default": None,
        },
        "text_format": choice(
            "Text that the model scores; the one that its checkpoint records, else its architecture's, when absent.",
            FORMATS,
        ),
        "max_length": whole(f"Most tokens of a text; {SCORED}", minimum=8),
        "trust_remote_code": TRUST_REMOTE_CODE,
        "allow_pickle": flag(
            "Read weights from pickles (.bin) where there are no safetensors; as tensors alone, no code in them is run."
        ),
        "head": choice(
            "Where the score is, in a checkpoint without a head of its own. first_logit: a language model's logit of "
            "the first token of its vocabulary, behind the text. Its own head when absent.",
            ("first_logit",),
        ),
        "load_in_4bit": flag(
            "Hold the trunk's weights in 4 bits (nf4, double quantisation); needs CUDA and bitsandbytes."
        ),
        "backend": choice(
            "What loads the checkpoint: the pipeline itself, or the package safe_rlhf where it is installed.",
            ("native", "safe_rlhf"),
            default="native",
        ),
    },
    required=("path",),
)
TRAIN = {
    "model": text("Model entry that it starts from: its SFT model, or the model itself.", examples=["W1M"]),
    "sft": {
        "description": "Start from the SFT model on the dataset that it is trained on, or from the model as it is "
        "(false); as policies of that model do when absent.",
        "type": "boolean",
    },
    "adapter": choice(
        "Train LoRA adapters and the head (lora), the same on weights in 4 bits (qlora), or all weights (none); as the "
        "model entry says when absent.",
        ("none", "lora", "qlora"),
    ),
    "lora": mapping("The LoRA adapters; the model entry's when absent.", LORA),
    "dataset": text(
        "Dataset entry on whose train pairs it is trained, whatever dataset it then scores; that one when absent."
    ),
    "share": mapping(
        "The part of the train prompts whose pairs it is trained on; all when absent.",
        {
            "part": whole("Which of the parts, counted from 1."),
            "of": whole("How many parts there are, of about equal size.", minimum=2, maximum=1000),
            "seed": whole("Of the draw of each prompt's part; reward models with one seed have the same parts.", 0)
            | {"default": 0},
        },
        required=("part", "of"),
    ),
    "learning_rate": TRAINING["learning_rate"] | {"default": 5e-4},
    "epochs": number("Passes over the train pairs.", exclusiveMinimum=0, default=2),
    "global_batch_size": whole("Pairs per optimizer step.", default=32),
    "warmup_steps": TRAINING["warmup_steps"] | {"default": 0},
    "max_length": whole(
        "Most tokens of prompt and response together; longer ones lose the beginning of the prompt.",
        minimum=8,
        default=1024,
    ),
    "lr_scheduler": TRAINING["lr_scheduler"],
    "optimizer": TRAINING["optimizer"] | {"default": "adamw_torch"},
    "weight_decay": TRAINING["weight_decay"],
    "adam_beta2": number(
        "Decay of the running mean of squared gradients, for the Adam optimizers.",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        default=0.999,
    ),
    "group_by_length": TRAINING["group_by_length"],
    "seed": whole("Seed of the head's weights and of the order of the pairs.", minimum=0, default=0),
}
TRAINED = mapping(
    "A reward model trained on the dataset's train pairs.",
    {
        "train": mapping("How it is trained.", TRAIN, required=("model",)),
        "reverse": flag("Lower is better: the sign of its scores is turned."),
        "text_format": choice(
            "Text that the model is trained on and scores; the chat template of its tokenizer, or plain where that has "
            "none, when absent.",
            TRAINABLE,
        ),
        "max_length": whole(f"Most tokens of a text that is scored; {SCORED}", minimum=8),
    },
    required=("train",),
)
REWARD_MODELS = {"path": CHECKPOINT, "train": TRAINED}
REWARD_MODEL = by_presence(
    "A reward model: a checkpoint (path) or trained by a rule (train).", REWARD_MODELS, short="path"
)
SCHEMA = named("Named reward models.", REWARD_MODEL, title="Reward models")
