"""What ddp is called."""

ORDER = 3
