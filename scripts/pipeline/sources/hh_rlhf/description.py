"""What hh_rlhf is called."""

ORDER = 3
