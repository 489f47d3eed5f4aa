"""What a run is by its method: trained or not, what policies start from, responses made elsewhere."""

from pipeline.columns.responses import EXTERNAL
from pipeline.jobs.parts import all_parts

DESCRIPTIONS = all_parts("methods", "description")
UNTRAINED = ("sft", "start")  # the methods whose run is what policies start from


class OfMethod:
    """What a run's method says of it."""

    method: str

    @property
    def is_start(self) -> bool:
        """Whether it is what policies start from."""
        return self.method in UNTRAINED

    @property
    def trained(self) -> bool:
        """Whether it trains a policy, rather than asking what policies start from."""
        return not (self.is_start or self.elsewhere) and getattr(DESCRIPTIONS[self.method], "TRAINED", True)

    @property
    def chooses(self) -> bool:
        """Whether it keeps the best of several responses by the reward model."""
        return not (self.is_start or self.elsewhere) and getattr(DESCRIPTIONS[self.method], "CHOOSES", False)

    @property
    def elsewhere(self) -> bool:
        """Whether its responses were made elsewhere."""
        return self.method == EXTERNAL
