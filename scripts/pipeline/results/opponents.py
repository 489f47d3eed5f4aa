"""How what runs are judged against is called."""

from pipeline.columns.prompts import CHECK, REFERENCE
from pipeline.results.run_table import CHOSEN

CALLED = {CHOSEN: "the chosen responses", REFERENCE: "the reference answers"}


def against(opponent: str) -> str:
    """In the title of a picture or table: "against the chosen responses"; of a check "right answers"."""
    return "right answers" if opponent == CHECK else f"against {CALLED.get(opponent, opponent)}"


def rate_name(opponent: str) -> str:
    """What the rate is a rate of, to be followed by a unit: "win rate"; of a check "right answers"."""
    return "right answers" if opponent == CHECK else "win rate"


def rate_title(opponent: str) -> str:
    """Both in one: "win rate against the chosen responses"; of a check "right answers"."""
    return "right answers" if opponent == CHECK else f"win rate {against(opponent)}"
