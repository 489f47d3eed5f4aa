"""Preference datasets: reading sources, turning their rows into pairs, filtering, splitting."""
