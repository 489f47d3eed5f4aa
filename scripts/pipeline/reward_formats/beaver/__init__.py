"""The format of safe-rlhf's score models."""
