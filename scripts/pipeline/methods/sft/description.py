"""What sft is called."""

ORDER = 1
