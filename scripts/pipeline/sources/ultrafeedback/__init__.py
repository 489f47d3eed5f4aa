"""UltraFeedback."""
