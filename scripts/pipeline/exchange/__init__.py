"""Responses and verdicts in the formats of other projects: written for them, read from them."""
