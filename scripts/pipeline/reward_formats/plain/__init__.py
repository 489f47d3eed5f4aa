"""Prompt, blank line, response."""
