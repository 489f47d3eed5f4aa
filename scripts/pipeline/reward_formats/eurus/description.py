"""What the reward format eurus is called."""

ORDER = 2
SENTENCE = "That of Eurus: [INST] {prompt} [/INST] {response}."
