"""Publishing to the Hugging Face Hub: what becomes which repository, with which card, and its upload."""
