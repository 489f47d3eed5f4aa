"""What openai is called."""

ORDER = 3
