"""What dpo is called."""

ORDER = 2
