"""Ranked answers."""
