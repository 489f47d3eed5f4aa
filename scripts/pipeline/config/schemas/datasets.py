"""Entries of datasets."""

from pipeline.config.fields import by_choice, mapping, named, number, or_null, several, text, whole
from pipeline.jobs.parts import all_parts

SOURCES = {
    name: mapping(source.SENTENCE, source.KEYS, source.REQUIRED)
    for name, source in all_parts("sources", "description").items()
}
SHARED = SOURCES["plain"]["properties"]
SOURCED = by_choice(
    "A preference dataset that is read from a source, which decides which keys it takes.",
    "source",
    "How rows become prompt, chosen and rejected.",
    SOURCES,
)
MIXED = mapping(
    "A preference dataset that is drawn from the prepared splits of others.",
    {
        "mix": several(
            "Datasets that it is drawn from, each by its name and, where they are not equal, its weight.",
            mapping(
                "One of the datasets.",
                {
                    "dataset": text("Name of a dataset that is no mix itself.", examples=["PP10"]),
                    "weight": number(
                        "Its share of the rows of each split, before division by the sum of all weights.",
                        exclusiveMinimum=0,
                        default=1,
                    ),
                },
                required=("dataset",),
            ),
            minItems=2,
            examples=[[{"dataset": "PP10", "weight": 2}, {"dataset": "U10"}]],
        ),
        "limit": or_null(whole("Most rows of the train split; null takes as many as the weights allow.")),
        "eval_size": or_null(whole("Most prompts of the eval split; null takes as many as the weights allow.")),
        "seed": whole("Seed of the draw and of the order of the rows.", minimum=0, default=42),
        **{key: SHARED[key] for key in ("near_duplicates", "reward_model", "judge")},
    },
    required=("mix",),
)
DATASET = {
    "description": "A preference dataset: read from a source, or a mix of others.",
    "type": "object",
    "allOf": [
        {"if": {"not": {"required": ["mix"]}}, "then": SOURCED},
        {"if": {"required": ["mix"]}, "then": MIXED},
    ],
    "short": "path",
}
SCHEMA = named(
    "Named preference datasets.",
    DATASET,
    title="Datasets",
    examples=[{"mine": {"source": "plain", "path": "data/mine", "eval_share": 0.1}}],
)
