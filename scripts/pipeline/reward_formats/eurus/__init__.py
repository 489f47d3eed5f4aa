"""The format of Eurus' reward model."""
