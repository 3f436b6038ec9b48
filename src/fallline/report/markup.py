"""Text of a rule as HTML: equations as MathML, citations with links, code set as code."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any, Literal
from xml.etree import ElementTree

from .files import need

_LINKS = (
    (r"https://[^\s,;]*[^\s,;.)]", r'<a href="\g<0>" rel="noreferrer">\g<0></a>'),
    (r"arXiv:(\d{4}\.\d{4,5}|[a-z-]+/\d{7})", r'<a href="https://arxiv.org/abs/\1" rel="noreferrer">arXiv:\1</a>'),
    (r"doi:(10\.\d{4,}/[^\s,;]*[^\s,;.)])", r'<a href="https://doi.org/\1" rel="noreferrer">doi:\1</a>'),
)


def equations(lines: Sequence[str]) -> list[Any]:
    """A rule's LaTeX, a line each, as MathML."""
    return [need("markupsafe").Markup(mathml(line)) for line in lines]


def mathml(line: str, display: Literal["block", "inline"] = "block") -> str:
    """A line of LaTeX as MathML, which browsers draw without a script."""
    root = need("latex2mathml.converter").convert_to_element(line, display=display)
    for element in root.iter():
        # The converter leaves character references in the text, and would turn a reader's `<` into a tag.
        element.text, element.tail = (text and html.unescape(text) for text in (element.text, element.tail))
        element.attrib.pop("href", None)
    return ElementTree.tostring(root, encoding="unicode")


def cite(paper: str) -> Any:
    """The citation, with its address, arXiv number or DOI as a link."""
    text = str(need("markupsafe").escape(paper))
    for pattern, link in _LINKS:
        text = re.sub(pattern, link, text)
    return need("markupsafe").Markup(text)


def code(text: str) -> Any:
    """Text with what stands in backticks set as code."""
    escaped = str(need("markupsafe").escape(text))
    return need("markupsafe").Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped))
