"""What dpp is called."""

ORDER = 4
