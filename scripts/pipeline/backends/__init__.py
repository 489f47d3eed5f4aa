"""The decoding backends, a folder each: description.py says what a backend is called and is for."""
