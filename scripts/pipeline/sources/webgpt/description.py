"""What webgpt is called."""

ORDER = 5
