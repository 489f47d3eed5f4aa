"""What the decoding backend transformers is called and is for."""

ORDER = 1
SENTENCE = "Transformers in the job, in batches."
