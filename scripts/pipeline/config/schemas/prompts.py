"""Entries of prompt sets."""

from pipeline.config.fields import choice, mapping, named, or_null, text, whole

DECODINGS = ("first", "all")

SET = mapping(
    "A set of prompts that runs answer besides the dataset's own, with or without reference answers and categories.",
    {
        "path": text(
            "Hub id, or a local folder or file (parquet, jsonl, jsonl.gz, json, or saved by datasets).",
            minLength=1,
            examples=["data/questions.jsonl"],
        ),
        "file": text(
            "Path of a file in the repository or folder, which alone is read; for those that hold other things or are "
            "published as a script.",
            minLength=1,
            examples=["data/question.jsonl"],
        ),
        "config_name": text("Name of the set's configuration on the hub, where it has several."),
        "revision": text("Commit, tag or branch on the hub."),
        "split": text("Split of the hub's dataset or of the folder.", minLength=1, default="train"),
        "columns": mapping(
            "The set's own names of the columns.",
            {
                "prompt": text(
                    "Column of the prompts: text, a list of texts that the user says one after the other, or messages; "
                    "found by its usual names where it is not given.",
                    minLength=1,
                    examples=["instruction"],
                ),
                "reference": text(
                    "Column of reference answers, text or a list with one for each turn; without it there are none.",
                    minLength=1,
                    examples=["output"],
                ),
                "category": text("Column of a kind of prompt, by which win rates are given too.", minLength=1),
                "id": text("Column of what each prompt is known by; a hash of it where there is none.", minLength=1),
            },
            minProperties=1,
            examples=[{"prompt": "instruction", "reference": "output"}],
        ),
        "limit": or_null(whole("Most prompts, a seeded sample; null takes all.", examples=[100])),
        "seed": whole("Of the sample for limit.", minimum=0, default=0),
        "judge": text(
            "Judge of the answers to this set, a folder in config/judges; the config's or the dataset's where it is "
            "absent.",
            examples=["U"],
        ),
        "decodings": choice(
            "Decodings of the config that the set is answered and judged under: first, the first alone, or all; the "
            "config's prompt_decodings where it is absent.",
            DECODINGS,
            examples=["all"],
        ),
    },
    required=("path",),
    short="path",
)
SCHEMA = named(
    "Named sets of prompts.",
    SET,
    title="Prompts",
    examples=[{"mine": {"path": "data/questions.jsonl", "columns": {"prompt": "question", "reference": "answer"}}}],
)
