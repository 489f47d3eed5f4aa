"""The columns of the files that rules hand to each other: one owner for those who write and those who read."""

VERDICT_COLUMNS = [
    *("prompt_id", "run", "seed", "baseline", "order", "preference", "score_run", "score_baseline"),
    *("len_run", "len_baseline", "judge", "judge_model", "request_key", "status"),
]
# What became of a question to a judge; all but parsed ones have no preference, and stay in the denominator.
STATUSES = ("parsed", "unparsed", "refused", "failed")
