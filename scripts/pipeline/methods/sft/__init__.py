"""The SFT model itself, as a run."""
