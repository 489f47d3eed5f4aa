"""What pku is called."""

ORDER = 1
