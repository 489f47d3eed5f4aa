"""What the reward format eurus is called and whose it is."""

ORDER = 2
SENTENCE = "That of Eurus: [INST] {prompt} [/INST] {response}."
