"""The text of Eurus."""
