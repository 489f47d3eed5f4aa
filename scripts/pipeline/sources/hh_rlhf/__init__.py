"""hh-rlhf."""
