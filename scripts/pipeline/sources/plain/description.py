"""What plain is called."""

ORDER = 6
