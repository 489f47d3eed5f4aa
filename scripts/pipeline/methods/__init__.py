"""Methods: what a policy can be trained with. A folder each, `description.py` and `trainer.py`."""
