"""What the source plain is called and which keys its entries take."""

from pipeline.config.fields import flag, mapping, number, text
from pipeline.sources.keys import LABEL_NOISE, LOCATION, SPLITS, UNLABELLED, USES

ORDER = 6
SENTENCE = (
    "A dataset that has the columns chosen and rejected, and maybe prompt, system and bt_prob, in any usual shape."
)
COLUMNS = {
    "columns": mapping(
        "The dataset's own names of the columns; those not given are found by their usual names.",
        {
            "prompt": text("Column of the prompt, text or messages.", minLength=1, examples=["instruction"]),
            "chosen": text("Column of the better response.", minLength=1, examples=["better"]),
            "rejected": text("Column of the worse response.", minLength=1, examples=["worse"]),
            "system": text("Column of the system text.", minLength=1, examples=["sys"]),
        },
        minProperties=1,
        examples=[{"prompt": "instruction", "chosen": "better", "rejected": "worse"}],
    )
}
RELABEL = {
    "relabel": flag("Draw the label of each train pair from its bt_prob, the probability that chosen is preferred."),
    "bt_noise_gauss": number(
        "Label noise: standard deviation of what is added to the logit of bt_prob before the draw; for relabel.",
        minimum=0,
        default=0,
        examples=[1.0],
    ),
}
KEYS, REQUIRED = {**LOCATION, **COLUMNS, **SPLITS, **RELABEL, **LABEL_NOISE, **UNLABELLED, **USES}, ("path",)
