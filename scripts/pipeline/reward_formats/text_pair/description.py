"""What the reward format text_pair is called and whose it is."""

ORDER = 5
SENTENCE = "Two segments, for encoders such as DeBERTa; of any other checkpoint without a chat template."
ARCHITECTURES: tuple[str, ...] = ()
