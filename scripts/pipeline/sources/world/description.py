"""What world is called."""

ORDER = 7
