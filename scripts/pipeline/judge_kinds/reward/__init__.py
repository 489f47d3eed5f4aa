"""A reward model as a judge."""
