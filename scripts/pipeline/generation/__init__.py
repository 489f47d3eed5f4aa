"""Responses of a policy to prompts, and the log-probabilities that describe it."""
