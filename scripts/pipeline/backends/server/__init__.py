"""Responses from an OpenAI-compatible server."""
