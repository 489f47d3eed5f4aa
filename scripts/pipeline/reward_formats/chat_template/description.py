"""What the reward format chat_template is called and whose it is."""

ORDER = 4
SENTENCE = "The chat template of its tokenizer; of any other checkpoint that has one."
ARCHITECTURES: tuple[str, ...] = ()
