"""What the format is called and which checkpoints have it."""

ORDER = 4
