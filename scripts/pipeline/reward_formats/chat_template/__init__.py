"""The chat template of the reward model's tokenizer."""
