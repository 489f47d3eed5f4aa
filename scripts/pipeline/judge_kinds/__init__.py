"""Kinds of judges. A folder each, `description.py` and `judge.py`."""
