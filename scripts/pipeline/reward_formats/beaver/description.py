"""What the reward format beaver is called."""

ORDER = 1
SENTENCE = "That of safe-rlhf: BEGINNING OF CONVERSATION: USER: {prompt} ASSISTANT:{response}, turn by turn."
