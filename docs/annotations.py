"""Annotations of hyper-parameters that a room gives names to: which values are allowed, and where a search looks."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any, get_origin

from fallline.rules import Interval, Range

from . import words


def annotations(room: ModuleType) -> dict[str, Any]:
    """The room's public annotated types by name, in the order in which they are written."""
    return {name: t for name, t in vars(room).items() if get_origin(t) is Annotated and not name.startswith("_")}


def table(room: ModuleType) -> str:
    """A row for each of them; nothing where there is none."""
    rows = [
        (words.code(name), words.plain(_said(Interval, annotated)), words.plain(_said(Range, annotated)) or "no")
        for name, annotated in annotations(room).items()
    ]
    return words.table(("Annotation", "Allowed", "Searched"), rows) if rows else ""


def _said(kind: type, annotated: Any) -> str:
    return next((str(note) for note in annotated.__metadata__ if isinstance(note, kind)), "")
