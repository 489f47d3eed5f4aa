"""What the source pku is called and which keys its entries take."""

from pipeline.config.fields import choice
from pipeline.sources.keys import LABEL_NOISE, LOCATION, SPLITS, UNLABELLED, USES

ORDER = 1
SENTENCE = "PKU-SafeRLHF, which has two preferences per pair."
PREFERENCE = {
    "preference": choice(
        "Which preference makes the pair: the more helpful or the safer response.", ("helpful", "harmless")
    )
}
KEYS, REQUIRED = {**LOCATION, **PREFERENCE, **SPLITS, **LABEL_NOISE, **UNLABELLED, **USES}, ("path", "preference")
