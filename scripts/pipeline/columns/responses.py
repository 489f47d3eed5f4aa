"""A run's responses to the prompts of a split, a row a prompt."""

RESPONSE_TEXTS = ["prompt_id", "prompt", "response"]
FINISHED = "finished"  # whether a response ended by itself, before the most tokens that it may have
RESPONSE_COLUMNS = [*RESPONSE_TEXTS, "response_ids", "response_tokens", FINISHED]
# What tables call the method of a run whose responses were made elsewhere: nothing was trained, nothing was sampled.
EXTERNAL = "external"
EXPORT_FORMATS = ("json_lines", "alpaca_eval", "arena_hard")  # of other projects; the first for all else
