"""What a report's page carries compressed."""

import base64
import gzip
import json
import re


def unpacked(page: str, name: str) -> str:
    """The text of an element that is unpacked when it is wanted."""
    content = re.search(rf'<script type="application/gzip" id="{re.escape(name)}">([^<]*)</script>', page)
    assert content, f"the page has no {name}"
    return gzip.decompress(base64.b64decode(content[1])).decode("utf-8")


def embedded(page: str, name: str):
    """What the page carries for its scripts."""
    return json.loads(unpacked(page, name))
