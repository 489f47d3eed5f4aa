"""Judging by the embedded world's gold score."""
