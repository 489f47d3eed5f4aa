"""What dpr is called."""

ORDER = 5
