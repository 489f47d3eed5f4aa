"""Pairs in columns of their own."""
