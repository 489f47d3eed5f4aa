"""Responses from vLLM in the job."""
