"""The kinds of judges, a folder each: description.py says what a kind is called and which keys it takes."""
