"""Several responses to each prompt of a split, a row a response, with a reward model's scores.

`candidate` counts a prompt's responses, which stand together, from 0.
"""

from pipeline.columns.responses import RESPONSE_COLUMNS

CANDIDATE_COLUMNS = [*RESPONSE_COLUMNS, "candidate", "response_score"]
