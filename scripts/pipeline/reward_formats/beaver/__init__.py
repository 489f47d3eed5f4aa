"""The text of safe-rlhf's reward and cost models."""
