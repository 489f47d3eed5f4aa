"""Figures inside a page: SVG files as inline elements that take the page's colours."""

import re
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import escape

from pipeline.drawing import INK, PAPER
from pipeline.io import InputError

ACTIVE = {"script", "foreignObject", "image", "a", "animate", "set", "iframe"}


def inline_svg(path: str | Path, name: str, title: str) -> str:
    """An SVG file as an element for an HTML page.

    Its ids get a prefix (`name`), so that several figures can stand in one page; ink and paper become the page's own
    colours; the prolog and the metadata are left out.

    Raises:
        InputError: the file is missing, is no SVG, or holds a script, a link or anything else that is active.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); draw the figures first") from error
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable SVG file ({error})") from error
    for element in root.iter():
        tag = element.tag.split("}")[-1] if isinstance(element.tag, str) else ""
        links = [value for key, value in element.attrib.items() if key.split("}")[-1] == "href"]
        events = [key for key in element.attrib if key.lower().startswith("on")]
        if tag in ACTIVE or events or not all(link.startswith("#") for link in links):
            raise InputError(f"{path}: holds active content (<{tag}>); only drawn figures can stand in the report")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = text.replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
