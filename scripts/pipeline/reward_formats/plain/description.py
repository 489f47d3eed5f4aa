"""What the reward format plain is called and whose it is."""

ORDER = 6
SENTENCE = "{prompt}, a blank line, {response}."
ARCHITECTURES: tuple[str, ...] = ()
