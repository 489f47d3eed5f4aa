"""SAIL's DPR."""
