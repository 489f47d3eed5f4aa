"""A config: what is run."""

from collections.abc import Iterable

from pipeline.columns.responses import EXPORT_FORMATS
from pipeline.config.arguments import LIKE
from pipeline.config.fields import (
    LONGEST,
    NAME,
    by_choice,
    choice,
    described_choice,
    flag,
    mapping,
    named,
    number,
    one_or_several,
    section,
    several,
    swept,
    text,
    whole,
)
from pipeline.config.hyperparameters import TRAINING
from pipeline.config.named_losses import LOSSES, meaning
from pipeline.config.schemas import datasets, models, prompts, reward_models
from pipeline.config.schemas.lm_eval import LM_EVAL
from pipeline.config.schemas.publish import PUBLISH
from pipeline.jobs.parts import all_parts

METHODS = all_parts("methods", "description")
LONGEST_TAG = LONGEST_NAME = 100  # characters; they are parts of file names, which may have 255
BACKENDS = all_parts("backends", "description")

SFT = section(
    "Hyperparameters of supervised fine-tuning, which every policy starts from; or false: policies start from the "
    "models as they are, which are the references too, and the run of sft is called start.",
    {
        "learning_rate": TRAINING["learning_rate"] | {"default": 2e-5},
        "epochs": number("Passes over the train responses.", exclusiveMinimum=0, default=2),
        "global_batch_size": whole(
            "Responses per optimizer step, over all processes and accumulation steps.", default=160
        ),
        "warmup_steps": TRAINING["warmup_steps"] | {"default": 0},
        "max_length": TRAINING["max_length"],
        "lr_scheduler": TRAINING["lr_scheduler"],
        "optimizer": TRAINING["optimizer"] | {"default": "adamw_torch"},
        "weight_decay": TRAINING["weight_decay"],
        "group_by_length": TRAINING["group_by_length"],
        "seed": whole(
            "Seed of the order of the data and, for a model trained from scratch, of its weights.", minimum=0, default=0
        ),
        "responses": choice(
            "Train on the chosen responses; on chosen and rejected (both); or on those of unlabelled rows too (all).",
            ("chosen", "both", "all"),
            default="chosen",
        ),
    },
) | {"type": ["object", "boolean"]}
DECODING = mapping(
    "How responses are sampled from a policy.",
    {
        "do_sample": flag("Sample, or take the most likely token each time (greedy).", True),
        "temperature": number("Sampling temperature.", exclusiveMinimum=0, default=1),
        "top_p": number(
            "Sample among the most likely tokens that together have this probability.",
            exclusiveMinimum=0,
            maximum=1,
            default=1,
        ),
        "max_new_tokens": whole("Most tokens of a response.", default=512),
        "backend": choice(described_choice("What generates", BACKENDS), BACKENDS, default="transformers"),
    },
)
JUDGE_QUALITY = section(
    "How well each judge agrees with the dataset's own labels, measured on a sample of labelled pairs of the judged "
    "split.",
    {
        "pairs": whole("Labelled pairs in the sample; 0 measures no judge.", minimum=0, default=500),
        "seed": whole("Of the sample.", minimum=0, default=0),
        "paid": flag("Whether judges of kind openai are measured too, which may cost money."),
    },
)
# Every hyperparameter, each as the first of the methods has it that takes it; and what all tasks may share, which the
# shares and weights of single methods are not.
HYPERPARAMETERS: dict[str, dict] = {}
for method in METHODS.values():
    HYPERPARAMETERS = {**method.HYPERPARAMETERS, **HYPERPARAMETERS}
OWN = {name for method in METHODS.values() for rows in method.ROWS for name in (rows.share, rows.weight)}
OWN |= set(LIKE)
CONTROL_OF = {
    "description": "What this task is a control of: a run's name, a method that has exactly one run beside controls, "
    "or a list of them. The report puts them side by side, and a run is judged against its controls too.",
    "type": ["string", "array"],
    "maxLength": LONGEST,
    "items": text("A run's name, or a method."),
    "minItems": 1,
    "uniqueItems": True,
    "examples": ["dpr"],
}


def _task(sentence: str, method: str, fixed: Iterable[str] = ()) -> dict:
    """A task of a method, some of whose hyperparameters are fixed."""
    taken = {key: schema for key, schema in METHODS[method].HYPERPARAMETERS.items() if key not in fixed}
    keys = {key: SWEEPS[key] if schema is HYPERPARAMETERS[key] else swept(schema) for key, schema in taken.items()}
    return mapping(sentence, keys | ({"control_of": CONTROL_OF} if taken else {}))


SWEEPS = {key: swept(schema) for key, schema in HYPERPARAMETERS.items()}
TASK = by_choice(
    "A method with its hyperparameters, each a value or a list of values.",
    "method",
    "What is trained: the SFT model alone, DPO, one of SAIL's variants, another method, or a loss by its name.",
    {name: _task(method.SENTENCE, name) for name, method in METHODS.items()}
    | {name: _task(meaning(name), fixed["method"], fixed) for name, fixed in LOSSES.items()},
)

RUN = mapping(
    "A run whose responses were made elsewhere.",
    {
        "name": text("Its name in tables and files.", pattern=NAME, maxLength=100, examples=["gpt-4o"]),
        "responses": named(
            "File of its responses (JSON, JSON lines or parquet), or files by the dataset whose prompts they answer.",
            text("A file.", minLength=1),
            minLength=1,
            maxLength=LONGEST,
            minProperties=1,
        )
        | {"type": ["string", "object"], "examples": ["gpt-4o.jsonl"]},
        "allow_missing": flag("Leave out prompts without a response, and count them, in place of an error."),
    },
    required=("name", "responses"),
)


def _names(what: str, file: str, example: str) -> dict:
    entry = text(f"A {what}'s name.", pattern=NAME, maxLength=LONGEST_NAME)
    return several(f"Names of {what}s, from {file} or definitions.", entry, examples=[[example]])


SCHEMA = mapping(
    "What is run: datasets × models × tasks × seeds.",
    {
        "tag": text(
            "Name of this config's table of results.",
            pattern="^[A-Za-z0-9_][A-Za-z0-9_-]*$",
            maxLength=LONGEST_TAG,
            examples=["embedded"],
        ),
        "note": text(
            "What a reader should know of this config; it is said when a run begins, and at the head of the report.",
            minLength=1,
        ),
        "size": text("Name of the size to run, one of sizes; the config as it stands when absent.", examples=["small"]),
        "datasets": _names("dataset", "config/datasets.yaml", "world"),
        "models": _names("model", "config/models.yaml", "W1M"),
        "seeds": several(
            "Training and sampling seeds; every run is done once for each.",
            whole("A seed.", minimum=0),
            examples=[[1, 2, 3]],
        ),
        "seed_scope": choice(
            "What the seeds reach: policy, the policies and their responses, or all, so that each seed also has an SFT "
            "model, reference log-probabilities and a trained reward model of its own to label by.",
            ("policy", "all"),
            default="policy",
        ),
        "device": text("Name of the device, from config/devices.yaml.", default="auto"),
        "split": choice(
            "Prompts on which runs are judged: eval, or selection to choose hyperparameters by.",
            ("eval", "selection"),
            default="eval",
        ),
        "best_of_sweep": flag(
            "Judge every run on the selection split too (results/selection.csv), and let the report choose the best "
            "run of each method's sweep there."
        ),
        "baseline": text(
            "Run that the others are compared with: a run's name, or a method that has exactly one run.", default="dpo"
        ),
        "decoding": one_or_several(
            text(
                "Name of the decoding for the judged responses, one of decodings; or several names, each of which is "
                "generated and judged. The report answers by the first, and says where another disagrees.",
                default="sample",
            )
        ),
        "decodings": named(
            "Named ways of sampling responses, added to the two that exist, greedy and sample.", DECODING, default={}
        ),
        "sft": SFT,
        "policy": section(
            "Hyperparameters shared by all tasks, where a task does not set them; a method ignores those it does not "
            "take.",
            {key: schema for key, schema in HYPERPARAMETERS.items() if key not in OWN},
        ),
        "tasks": {
            "description": "Methods to train; a list of values spans a sweep.",
            "type": "array",
            "items": TASK,
            "minItems": 1,
            "examples": [[{"method": "sft"}, {"method": "dpo"}, {"method": "dpr", "g": [0.3]}]],
        },
        "runs": several(
            "Runs whose responses were made elsewhere: judged, ranked and reported beside those of the tasks.",
            RUN,
            examples=[[{"name": "gpt-4o", "responses": "gpt-4o.jsonl"}]],
        ),
        "exports": named(
            "In which formats `snakemake exports` writes responses for other projects, by dataset: json_lines, which "
            "is the default, alpaca_eval or arena_hard, or several of them.",
            one_or_several(choice("A format.", EXPORT_FORMATS)),
            default={},
        ),
        "reward_model": text(
            "Reward model for all datasets of this config, in place of each dataset's own.", examples=["deberta"]
        ),
        "judge": text("Judge for all datasets of this config, in place of each dataset's own.", examples=["reward"]),
        "prompts": _names("set", "config/prompts.yaml", "alpaca_eval")
        | {
            "description": "Names of sets of prompts, from config/prompts.yaml or definitions, that every run answers "
            "besides the dataset's own."
        },
        "prompt_decodings": choice(
            "Decodings that sets of prompts are answered and judged under, where their entries do not say it: first, "
            "which is the default, or all.",
            prompts.DECODINGS,
            examples=["all"],
        ),
        "judge_quality": JUDGE_QUALITY,
        "human_labels": text(
            "File of people's verdicts on pairs of responses (.csv, .jsonl or .parquet: prompt_id, response_a, "
            "response_b and preferred, which is a, b or tie): the report says how judge and reward model agree with "
            "them.",
            examples=["labels.csv"],
        ),
        "evaluate_checkpoints": whole(
            "Checkpoints of each policy run that are kept and measured, evenly over its steps: reward by the labelling "
            "reward model and by the judge against KL, in results/overoptimisation.csv and the report; 0 keeps none.",
            minimum=0,
            default=0,
        ),
        "checkpoint_prompts": whole(
            "Prompts of the judged split, the first ones, that each checkpoint answers; at most all.", default=128
        ),
        "lm_eval": LM_EVAL,
        "wandb": flag("Whether training curves, configs and win rates are recorded for Weights & Biases."),
        "publish": PUBLISH,
        "definitions": section(
            "Entries that only this config uses (devices are in config/devices.yaml alone); one that exists in config/ "
            "is replaced as a whole.",
            {
                "datasets": datasets.SCHEMA,
                "models": models.SCHEMA,
                "reward_models": reward_models.SCHEMA,
                "prompts": prompts.SCHEMA,
            },
        ),
    },
    required=("tag", "datasets", "models", "seeds", "tasks"),
    title="Config",
)
SCHEMA["properties"]["sizes"] = named(
    "Named changes to this config, of which size chooses one: mappings are changed key by key, lists and values as a "
    "whole. What the command line sets comes before them.",
    mapping(
        "Changes to the config, key by key.",
        {key: {"description": f"Changes to {key}."} for key in SCHEMA["properties"] if key != "size"},
    ),
)
