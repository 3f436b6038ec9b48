"""The page of examples: whole programs, which are run by the tests, with what their docstrings say."""

from __future__ import annotations

import ast
from pathlib import Path

from . import words
from .shared import ROOT


def page() -> str:
    """The whole page as Markdown."""
    programs = sorted((ROOT / "examples").glob("*.py"))
    return "\n\n".join(["# Examples", *map(_section, programs)])


def _section(program: Path) -> str:
    text = program.read_text()
    tree = ast.parse(text)
    title, *paragraphs = (ast.get_docstring(tree) or program.stem).split("\n\n")
    what, _, command = title.partition(": ")
    body = "".join(text.splitlines(keepends=True)[tree.body[0].end_lineno :]) if ast.get_docstring(tree) else text
    said = [words.prose(paragraph) for paragraph in ([f"Run it: {command}"] if command else []) + paragraphs]
    return "\n\n".join([f"## {words.prose(what.rstrip('.'))}", *said, words.python(body.strip())])
