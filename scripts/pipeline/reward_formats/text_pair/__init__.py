"""Prompt and response as two segments."""
