"""What the source world is called and which keys its entries take."""

from pipeline.config.fields import number, whole
from pipeline.sources.keys import LABEL_NOISE, UNLABELLED, USES

ORDER = 7
SENTENCE = "The embedded world, made by code."
KEYS = {
    "edition": whole(
        "The world's edition, the first where it is absent: 2 has gold points in named parts, and half of its eval "
        "split asks for what train never asks for.",
        maximum=2,
        examples=[2],
    ),
    "size": whole(
        "Number of prompts, with one pair each, over all splits; in edition 2 at most 2736 and half of eval_size.",
        minimum=3,
        maximum=4320,
        default=4320,
    ),
    "noise": number(
        "Temperature of the annotator's Bradley-Terry draw, in gold points.", exclusiveMinimum=0, default=0.5
    ),
    "eval_size": whole("Prompts of the eval split.", default=512),
    "selection_size": whole("Prompts of the selection split.", minimum=0, default=384),
    "seed": whole("Seed of prompts, responses and labels.", minimum=0, default=0),
    **LABEL_NOISE,
    **UNLABELLED,
    **USES,
}
REQUIRED = ()
