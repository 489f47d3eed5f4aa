"""The text that a tokenizer's chat template makes."""
