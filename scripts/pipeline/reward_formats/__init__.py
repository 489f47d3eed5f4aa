"""The text formats of reward models, a folder each: description.py says what a format is called and whose it is."""
