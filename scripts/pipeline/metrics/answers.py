"""Answers that are bad whatever was asked, found from their text alone.

Two of the kinds are rules of thumb, meant to find what is worth reading: a poem with a refrain may count as repeating,
a story that begins with an apology as refusing, and a refusal in another language than English is not seen.
"""

import re

# Words; a letter each where a script has no spaces, and long words in parts, so that "aaaa…" repeats too.
WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w{1,20}")
GRAM = 4
FEWEST_WORDS = 16
REPEATED_SHARE = 0.5
OPENING = 160  # characters in which a refusal says that it is one
REFUSAL = re.compile(
    r"\b(?:as an? (?:ai|language model)|i(?:['’]m| am) (?:just |only )?an? (?:ai|language model)"
    r"|i(?:['’]m| am) (?:sorry|afraid),? (?:but )?i? ?(?:can|cannot|can['’]t|won['’]t|am not able|am unable|must)"
    r"|i (?:cannot|can['’]t|can not|won['’]t|will not|must decline to|am not able to|am unable to)"
    r"|i['’]m (?:not able|unable) to|i (?:do not|don['’]t) feel comfortable)\b",
    re.IGNORECASE,
)


def is_empty(text: str) -> bool:
    """Whether there is nothing but white space."""
    return not text.strip()


def repeats(text: str) -> bool:
    """Whether at least half of the runs of four words stood in the text before; shorter than 16 words never does."""
    words = WORDS.findall(text.lower())
    if len(words) < FEWEST_WORDS:
        return False
    grams = list(zip(*(words[start:] for start in range(GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) >= REPEATED_SHARE


def refuses(text: str) -> bool:
    """Whether the first 160 characters hold one of the usual English phrases of refusing, or of being an AI."""
    return bool(REFUSAL.search(text[:OPENING]))
