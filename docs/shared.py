"""What the repository says once and the site shows too: sections of the README, measurements, how to contribute.

A line `<!-- README: Heading -->` of a page is replaced by what the README says under that heading. Links lead to the
same file, whether they are followed in the repository or in the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

_NAMED = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def places() -> dict[str, str]:
    """Where files of the repository stand in the site."""
    measured = sorted((ROOT / "benchmarks").glob("*.md"))
    return {
        "CONTRIBUTING.md": "contributing.md",
        "docs/report.png": "assets/report.png",
        **{f"benchmarks/{file.name}": f"measured/{file.name.lower()}" for file in measured},
    }


def pages() -> dict[str, str]:
    """The shared files that are pages: their path in the site, and their Markdown."""
    return {
        place: relinked((ROOT / name).read_text(), name, place)
        for name, place in places().items()
        if name.endswith(".md")
    }


def filled(markdown: str, place: str) -> str:
    """A page with the sections of the README that it names. Raises `ValueError` for one that the README lacks."""
    readme = (ROOT / "README.md").read_text()
    return _NAMED.sub(lambda named: relinked(section(readme, named[1]), "README.md", place), markdown)


def section(text: str, heading: str) -> str:
    """What stands between a heading and the next; raises `ValueError` where there is no such heading."""
    # in a block of code, a comment looks like a heading
    outside = re.sub(r"^```.*?^```", lambda block: " " * len(block[0]), text, flags=re.MULTILINE | re.DOTALL)
    headings = list(_HEADING.finditer(outside))
    for found, following in zip(headings, [*headings[1:], None], strict=True):
        if found[1] == heading:
            return text[found.end() : following.start() if following else None].strip()
    raise ValueError(f"the README has no heading {heading!r}")


def relinked(markdown: str, name: str, place: str) -> str:
    """The text of the repository's file `name` with its links as they must be in the site's page `place`."""
    known = places()

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[1]))
        if target not in known:
            return found[0]
        return f"]({posixpath.relpath(known[target], posixpath.dirname(place) or '.')}{found[2] or ''})"

    return _LINK.sub(link, markdown)
