"""A set of prompts that runs answer besides their dataset's own, a row a prompt."""

# further: list of what the user says after the first answer, one text a turn; reference: list of answers, one a turn,
# or null; category: text or null; row: the source's own row, as JSON.
PROMPT_COLUMNS = ["prompt_id", "prompt"]
SET_COLUMNS = [*PROMPT_COLUMNS, "further", "reference", "category", "row"]
FURTHER, CATEGORY = "further", "category"
# What a run is judged against on a set, besides other runs: the set's reference answers; nothing, by a function that
# says of a response whether it is right.
REFERENCE, CHECK = "reference", "check"
