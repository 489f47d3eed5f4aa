"""A judge's verdicts on a run's responses against a baseline's, a row a prompt and order; lengths in characters."""

VERDICT_COLUMNS = [
    *("prompt_id", "run", "seed", "baseline", "order", "preference", "score_run", "score_baseline"),
    *("len_run", "len_baseline", "judge", "judge_model", "request_key", "status"),
]
# What judges that give parts of their verdicts add: of either response {part: number}, null where a reply has none.
PART_COLUMNS = ["parts_run", "parts_baseline"]
PART_DETAILS = ["prompt_id", "judge", "score_run", "score_baseline", *PART_COLUMNS]
# What a run's verdicts must have; the details say how a verdict came about.
REQUIRED_COLUMNS = ["prompt_id", "run", "seed", "baseline", "order", "preference", "status", "len_run", "len_baseline"]
DETAIL_COLUMNS = [name for name in VERDICT_COLUMNS if name not in REQUIRED_COLUMNS]
# What any table of verdicts must have to be compared.
COMPARED_COLUMNS = ["run", "baseline", "prompt_id", "preference", "len_run", "len_baseline"]
# What became of a question to a judge; all but parsed ones have no preference, and stay in the denominator.
STATUSES = ("parsed", "unparsed", "refused", "failed")
# Which turn of its prompt a verdict is on, from 1, in verdicts on sets with prompts of several turns.
TURN = "turn"
