"""SAIL's DDP."""
