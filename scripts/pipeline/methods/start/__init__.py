"""The model as it is, where there is no SFT."""
