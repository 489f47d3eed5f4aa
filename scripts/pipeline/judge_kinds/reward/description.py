"""What reward is called."""

ORDER = 2
