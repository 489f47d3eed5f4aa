"""Two texts, told apart by the tokenizer."""
