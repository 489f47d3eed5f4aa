"""What the page carries for its scripts: JSON, and text in compressed chunks that are decoded when they are wanted.

A chunk is gzip in base64, in a script element of a type that browsers do not run. Nothing of it is HTML: base64 has no
"<", and JSON gets every "<" written as an escape.
"""

import base64
import gzip
import json
import re

from markupsafe import Markup

# Characters that have no place in an HTML page: control characters, and surrogates that UTF-8 cannot hold.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
SEPARATOR = "\x1e"
FORMULA_SIGNS = ("$", "\\(", "\\[")  # of which a formula that the page shows begins with one
LEVEL = 6


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
        packed = base64.b64encode(gzip.compress(text.encode("utf-8"), LEVEL, mtime=0)).decode("ascii")
        if packed not in self.numbers:
            self.numbers[packed] = len(self.contents)
            self.contents.append(packed)
        return self.numbers[packed]

    def add_texts(self, texts: list[str | None]) -> int:
        """Store texts, None for one that is not there."""
        self.formulas = self.formulas or any(sign in text for text in texts if text for sign in FORMULA_SIGNS)
        return self.add(SEPARATOR.join("\x1f" if text is None else printable(text) for text in texts))

    def add_json(self, content: object) -> int:
        """Store anything that JSON can hold."""
        return self.add(compact(content))

    def markup(self) -> Markup:
        """The script elements that hold the chunks."""
        form = '<script type="application/gzip" id="chunk-{}">{}</script>'
        return Markup("\n".join(form.format(i, content) for i, content in enumerate(self.contents)))


def printable(text: str) -> str:
    """Text without characters that no page can hold; each is shown as a replacement mark."""
    return UNPRINTABLE.sub("\ufffd", text)


def compact(content: object) -> str:
    """JSON without spaces; what is not a number is refused."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def json_element(name: str, content: object) -> Markup:
    """A script element that holds JSON, to be read by its id."""
    text = printable(compact(content)).replace("<", "\\u003c")
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')
