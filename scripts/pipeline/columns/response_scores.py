"""A reward model's scores of a run's responses."""

RESPONSE_SCORE_COLUMNS = ["prompt_id", "response_score"]
