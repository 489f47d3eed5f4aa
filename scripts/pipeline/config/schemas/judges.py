"""A judge.yaml."""

from pipeline.config.fields import by_choice, described_choice, mapping
from pipeline.jobs.parts import all_parts

KINDS = all_parts("judge_kinds", "description")
SCHEMA = by_choice(
    "A judge; its kind decides which keys it takes.",
    "kind",
    described_choice("What judges", KINDS),
    {name: mapping(kind.SENTENCE, kind.KEYS, kind.REQUIRED) for name, kind in KINDS.items()},
    title="Judge",
)
