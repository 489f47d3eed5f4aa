"""A run's responses to the prompts of a split, a row a prompt."""

RESPONSE_TEXTS = ["prompt_id", "prompt", "response"]
FINISHED = "finished"  # whether a response ended by itself, before the most tokens that it may have
RESPONSE_COLUMNS = [*RESPONSE_TEXTS, "response_ids", "response_tokens", FINISHED]
