"""Log-probabilities of a split's pairs and of a run's responses under the run's policy and its reference, in nats."""

from pipeline.columns.reference import REFERENCE_LOGPS

POLICY_LOGPS = ["chosen_logps", "rejected_logps"]
PAIR_LOGPS = [*POLICY_LOGPS, *REFERENCE_LOGPS]
RESPONSE_LOGPS = ["response_logps", "ref_response_logps"]
EVALUATION_COLUMNS = ["prompt_id", *POLICY_LOGPS, *RESPONSE_LOGPS, "response_tokens", *REFERENCE_LOGPS]
