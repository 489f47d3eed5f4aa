"""OpenAI's WebGPT comparisons."""
