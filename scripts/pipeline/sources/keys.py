"""Keys of datasets that several sources take."""

from pipeline.config.fields import number, or_null, section, several, text, whole

LOCATION = {
    "path": text(
        "Hub id, or a local folder or file of the same columns.", minLength=1, examples=["openbmb/UltraFeedback"]
    ),
    "config_name": text(
        "Name of the dataset's configuration on the hub, where it has several.", examples=["comparisons"]
    ),
    "revision": text("Commit, tag or branch on the hub."),
    "slices": several(
        "Further columns of the dataset, of text, numbers or truth values, that its splits bring along: the report "
        "tells win rates apart by each of them. A mix has those of its datasets.",
        text("A column's name.", minLength=1),
        examples=[["domain", "language"]],
    ),
}
SPLITS = {
    "splits": section(
        "The source's splits that the train and eval splits are made from.",
        {
            "train": text(
                "Split to train on; the eval prompts are held out of it when eval is absent.",
                minLength=1,
                default="train",
            ),
            "eval": text("Split to evaluate on.", minLength=1, examples=["test"]),
        },
    ),
    "limit": or_null(whole("Most rows to keep, a seeded sample after filtering; null keeps all.", examples=[10000])),
    "eval_share": number(
        "Share of the prompts held out as the eval split; needed where splits.eval is absent.",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        examples=[0.1],
    ),
    "selection_share": number(
        "Share of the train prompts that is set aside as the selection split.",
        minimum=0,
        exclusiveMaximum=1,
        default=0.05,
    ),
    "seed": whole("Seed of the sample for limit and of the splits.", minimum=0, default=42),
    "near_duplicates": or_null(
        number(
            "Jaccard similarity of word 3-grams from which on prompts, and pairs, are near duplicates; null looks for "
            "none.",
            minimum=0.3,
            maximum=1,
            default=0.8,
        )
    ),
}
LABEL_NOISE = {
    "label_switching": number(
        "Label noise: probability with which chosen and rejected of a train pair are swapped.",
        minimum=0,
        maximum=1,
        default=0,
        examples=[0.1],
    ),
    "label_seed": whole("Seed of the label noise.", minimum=0, default=0),
}
UNLABELLED = {
    "unlabelled": number(
        "Train rows whose preference is taken away, a number, or a share where it is below 1: DDP alone sees them, and "
        "its rows are these.",
        exclusiveMinimum=0,
        examples=[0.8],
    ),
}
USES = {
    "reward_model": text(
        "Reward model of this dataset: labels DPR's pairs and scores responses. Needed here or in the config.",
        examples=["deberta"],
    ),
    "judge": text(
        "Judge of this dataset's responses, a folder in config/judges. Needed here or in the config.",
        examples=["reward"],
    ),
}
ROWS = {**LOCATION, **SPLITS, **LABEL_NOISE, **UNLABELLED, **USES}
