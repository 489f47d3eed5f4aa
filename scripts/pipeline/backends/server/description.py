"""What server is called."""

ORDER = 2
