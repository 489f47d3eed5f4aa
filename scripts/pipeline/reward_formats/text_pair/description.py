"""What the reward format text_pair is called."""

ORDER = 5
SENTENCE = "Two segments, for encoders such as DeBERTa; of any other checkpoint without a chat template."
