"""What judges of kind check are called and which keys they take."""

from pipeline.config.fields import MAX_FAILED_SHARE, text

ORDER = 4
SENTENCE = "A function in Python that says of a response whether it is right: true or false, or a number from 0 to 1."
KEYS = {
    "function": text(
        "The function, as file.py:name (a path from the judge's folder) or module:name; it is called with what it has "
        "parameters for: prompt, response, reference, category, and row, the set's own row.",
        pattern=r"^.+:[A-Za-z_]\w*$",
        examples=["check.py:is_right"],
    ),
    "max_failed_share": MAX_FAILED_SHARE,
}
REQUIRED = ("function",)
