"""Markdown that the made pages share: text made safe for it, tables, citations, Python blocks."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from fallline.report.markup import cite, equations

_MARKS = {ord(mark): f"&#{ord(mark)};" for mark in "*_|[]`{}"}


def prose(text: str) -> str:
    """Plain text as Markdown that shows it so, with addresses as links; what stands in backticks is code."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(code(part) if k % 2 else str(cite(part)).translate(_MARKS) for k, part in enumerate(parts))


def code(text: str) -> str:
    """Text set as code, also in a table."""
    return f"<code>{escape(text, quote=False).translate(_MARKS)}</code>"


def paragraphs(thing: Any) -> str:
    """A docstring's paragraphs; its indented examples are Python."""
    return "\n\n".join(
        python(textwrap.dedent(part)) if part.startswith("    ") else prose(part)
        for part in (inspect.getdoc(thing) or "").split("\n\n")
    )


def summary(thing: Any) -> str:
    """The first line of a docstring."""
    return prose((inspect.getdoc(thing) or "").partition("\n")[0])


def year(paper: str) -> str:
    """The first year in a citation; nothing where there is none."""
    found = re.search(r"\b(1[89]|20)\d\d\b", re.sub(r"(arXiv:|doi:|https://)\S+", "", paper))
    return found[0] if found else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a column whose title begins with `>` is set to the right."""
    titles = [title.removeprefix(">") for title in columns]
    rules = ["---:" if title.startswith(">") else "---" for title in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, rules, *rows))


def python(text: str) -> str:
    """A block of Python."""
    return f"```python\n{text.rstrip()}\n```"


def formula(lines: Sequence[str]) -> str:
    """LaTeX, a line each, as MathML that a wide line scrolls in and the search leaves out."""
    return "\n".join(f'<div class="equation" data-search-exclude="">{line}</div>' for line in equations(lines))


def number(value: float) -> str:
    """A number as short as it can be: 0.9, 1e-8."""
    return plain(f"{value:g}")


def plain(text: str) -> str:
    """Text whose numbers are written without the zeros of their exponents: 1e-5 for 1e-05."""
    return re.sub(r"e([+-])0+(\d)", r"e\1\2", text)
