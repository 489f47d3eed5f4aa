"""A judge.yaml."""

from pipeline.config.fields import by_choice, mapping
from pipeline.jobs.parts import all_parts

KINDS = {
    name: mapping(kind.SENTENCE, kind.KEYS, kind.REQUIRED)
    for name, kind in all_parts("judge_kinds", "description").items()
}
SCHEMA = by_choice(
    "A judge; its kind decides which keys it takes.",
    "kind",
    "What judges: gold, the embedded world's own score; reward, a reward model; openai, a model behind an "
    "OpenAI-compatible endpoint.",
    KINDS,
    title="Judge",
)
