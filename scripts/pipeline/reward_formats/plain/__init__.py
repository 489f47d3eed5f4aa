"""Prompt and response with a blank line between them."""
