"""summarize_from_feedback."""
