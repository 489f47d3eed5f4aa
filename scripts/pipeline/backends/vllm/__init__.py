"""Generation by vLLM in this process."""
