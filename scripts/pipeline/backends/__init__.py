"""What generates responses. A folder each, `description.py` and `generate.py`."""
