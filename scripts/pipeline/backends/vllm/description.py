"""What vllm is called."""

ORDER = 3
