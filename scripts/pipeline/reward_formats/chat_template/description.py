"""What the reward format chat_template is called."""

ORDER = 4
SENTENCE = "The chat template of its tokenizer; of any other checkpoint that has one."
