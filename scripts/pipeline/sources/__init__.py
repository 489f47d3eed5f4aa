"""The sources of data, a folder each: description.py says what a source is called and which keys its entries take."""
