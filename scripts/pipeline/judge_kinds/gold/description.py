"""What gold is called."""

ORDER = 1
