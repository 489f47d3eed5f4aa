"""What the decoding backend vllm is called and is for."""

ORDER = 3
SENTENCE = "vLLM in the job, on CUDA, where that package is installed."
