"""What the decoding backend server is called and is for."""

ORDER = 2
SENTENCE = "An OpenAI-compatible server, the device's server_url."
