"""What the page carries compressed: JSON, texts and scripts, which are unpacked when they are wanted.

Each is gzip in base64, in a script element of a type that browsers do not run. Nothing of it is HTML: base64 has no
"<".
"""

import base64
import gzip
import json
import re
from functools import cache

from markupsafe import Markup

# Characters that have no place in an HTML page: control characters, and surrogates that UTF-8 cannot hold.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
SEPARATOR = "\x1e"
FORMULA_SIGNS = ("$", "\\(", "\\[")  # of which a formula that the page shows begins with one
LEVEL = 9
TOGETHER = 1_500_000  # most characters of a block whose columns share a chunk


class Chunks:
    """Compressed chunks, by number.

    Attributes:
        formulas: whether a text has what may be a formula.
    """

    def __init__(self) -> None:
        self.formulas = False
        self.contents: list[str] = []
        self.numbers: dict[str, int] = {}

    def add(self, text: str) -> int:
        """Store a text, once however often it is added; the same bytes for the same text."""
        content = packed(text)
        if content not in self.numbers:
            self.numbers[content] = len(self.contents)
            self.contents.append(content)
        return self.numbers[content]

    def add_texts(self, texts: list[str | None]) -> int:
        """Store texts, None for one that is not there."""
        self.formulas = self.formulas or any(sign in text for text in texts if text for sign in FORMULA_SIGNS)
        return self.add(SEPARATOR.join("\x1f" if text is None else printable(text) for text in texts))

    def add_columns(self, columns: list[list[str | None]]) -> list[int | list[int]]:
        """Store a block of each of several columns of texts; where each column's are.

        That is a number of a chunk, or, where the block is small, [chunk, first, step]: all columns share one, prompt
        by prompt, as what several runs answer to a prompt is alike.
        """
        if sum(len(text) for column in columns for text in column if text) > TOGETHER or len(columns) == 1:
            return [self.add_texts(column) for column in columns]
        chunk = self.add_texts([text for answers in zip(*columns, strict=True) for text in answers])
        return [[chunk, first, len(columns)] for first in range(len(columns))]

    def add_json(self, content: object) -> int:
        """Store anything that JSON can hold."""
        return self.add(compact(content))

    def markup(self) -> Markup:
        """The script elements that hold the chunks."""
        return Markup("\n").join(_element(f"chunk-{i}", content) for i, content in enumerate(self.contents))


def printable(text: str) -> str:
    """Text without characters that no page can hold; each is shown as a replacement mark."""
    return UNPRINTABLE.sub("\ufffd", text)


def compact(content: object) -> str:
    """JSON without spaces; what is not a number is refused."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def packed(text: str) -> str:
    """A text compressed, in base64; the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), LEVEL, mtime=0)).decode("ascii")


@cache
def script_element(name: str, script: str) -> Markup:
    """An element that holds one of the page's scripts, to be unpacked by its id."""
    return _element(name, packed(script))


def json_element(name: str, content: object) -> Markup:
    """An element that holds what JSON can, likewise."""
    return _element(name, packed(printable(compact(content))))


def _element(name: str, content: str) -> Markup:
    return Markup(f'<script type="application/gzip" id="{name}">{content}</script>')
