"""Sources of preference data. A folder each, `description.py` and `adapter.py`."""
