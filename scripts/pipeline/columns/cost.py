"""What a training took: keys of its cost.json, which training writes and results read."""

COST_KEYS = ("seconds", "rollout_seconds", "steps", "peak_memory_mib", "device")
COST_TOKENS = ("trained_tokens", "sampled_tokens")  # which a trainer that counts none has not
