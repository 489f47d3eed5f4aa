"""OpenAI's summaries with human feedback."""
