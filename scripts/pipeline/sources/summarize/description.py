"""What summarize is called."""

ORDER = 4
