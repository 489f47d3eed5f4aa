"""Judging by a reward model."""
