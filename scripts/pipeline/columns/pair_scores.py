"""What a reward model's scoring adds to a split: scores, and the Bradley-Terry probability that chosen is better."""

PAIR_SCORES = ["chosen_score", "rejected_score"]
SCORING_COLUMNS = [*PAIR_SCORES, "bt_prob"]
