"""What the reward format plain is called."""

ORDER = 6
SENTENCE = "{prompt}, a blank line, {response}."
