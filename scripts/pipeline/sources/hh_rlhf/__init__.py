"""Anthropic's hh-rlhf."""
