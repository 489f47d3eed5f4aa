"""Several responses to each prompt of a split, a row a response, with a reward model's scores.

`candidate` counts a prompt's responses, which stand together, from 0.
"""

from pipeline.columns.responses import RESPONSE_COLUMNS

RANKING_COLUMNS = ["prompt_id", "finished", "candidate", "response_score"]
CANDIDATE_COLUMNS = [*RESPONSE_COLUMNS, "candidate", "response_score"]
# Of a split, what they are sampled for; and what is trained on.
PROMPT_COLUMNS = ["prompt_id", "prompt"]
TRAINED_COLUMNS = [*RANKING_COLUMNS, "prompt", "response_ids", "response_tokens"]
# What responses that are chosen among them have beside RESPONSE_COLUMNS: the tokens of all candidates for the prompt.
SAMPLED_TOKENS = "sampled_tokens"
