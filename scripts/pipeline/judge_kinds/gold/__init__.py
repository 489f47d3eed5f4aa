"""The embedded world's own scores as a judge."""
