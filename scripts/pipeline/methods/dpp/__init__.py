"""SAIL's DPP."""
