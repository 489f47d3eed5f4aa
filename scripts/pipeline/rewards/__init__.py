"""Reward models: their checkpoints, their networks, and the scores that they give."""
