"""Text formats of reward models. A folder each, `description.py` and `text.py`."""
