"""Entries of datasets."""

from pipeline.config.fields import by_choice, mapping, named
from pipeline.jobs.parts import all_parts

SOURCES = {
    name: mapping(source.SENTENCE, source.KEYS, source.REQUIRED)
    for name, source in all_parts("sources", "description").items()
}
DATASET = by_choice(
    "A preference dataset; its source decides which keys it takes.",
    "source",
    "How rows become prompt, chosen and rejected.",
    SOURCES,
    short="path",
)
SCHEMA = named(
    "Named preference datasets.",
    DATASET,
    title="Datasets",
    examples=[{"mine": {"source": "plain", "path": "data/mine", "eval_share": 0.1}}],
)
