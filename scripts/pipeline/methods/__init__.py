"""The methods, a folder each: description.py says what a method is called, takes and looks like."""
