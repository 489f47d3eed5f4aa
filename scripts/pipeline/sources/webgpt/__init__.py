"""webgpt_comparisons."""
