"""Generation by transformers in this process."""
