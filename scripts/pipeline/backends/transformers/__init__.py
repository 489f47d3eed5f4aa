"""Responses from transformers, in batches."""
