"""A run's responses to the prompts of a split, a row a prompt."""

RESPONSE_TEXTS = ["prompt_id", "prompt", "response"]
RESPONSE_COLUMNS = [*RESPONSE_TEXTS, "response_ids", "response_tokens", "finished"]
