"""What the reward format ultrarm is called."""

ORDER = 3
SENTENCE = "That of UltraRM: Human: {prompt}, a blank line, Assistant: {response}."
