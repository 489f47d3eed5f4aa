"""Log-probabilities of a split's pairs under the SFT model, in nats; `row` is the position in the split."""

REFERENCE_LOGPS = ["ref_chosen_logps", "ref_rejected_logps"]
REFERENCE_COLUMNS = ["row", "prompt_id", *REFERENCE_LOGPS]
