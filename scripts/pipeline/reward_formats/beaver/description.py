"""What the reward format beaver is called and whose it is."""

ORDER = 1
SENTENCE = "That of safe-rlhf: BEGINNING OF CONVERSATION: USER: {prompt} ASSISTANT:{response}."
