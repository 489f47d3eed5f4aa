"""The SFT model itself."""
