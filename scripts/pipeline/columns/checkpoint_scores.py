"""Responses of a run's checkpoints to prompts of the judged split: log-probabilities in nats, scores of two judges.

`step` is the optimizer step of the checkpoint, 0 where policies start. `labelling_score` is by the dataset's reward
model, which labels pairs, `judge_score` by the judge, null where that gives none.
"""

CHECKPOINT_SCORES = ["labelling_score", "judge_score"]
CHECKPOINT_LOGPS = ["response_logps", "ref_response_logps"]
CHECKPOINT_COLUMNS = ["step", "prompt_id", "response", "response_tokens", *CHECKPOINT_LOGPS, *CHECKPOINT_SCORES]
