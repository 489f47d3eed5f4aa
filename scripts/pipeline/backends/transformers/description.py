"""What transformers is called."""

ORDER = 1
