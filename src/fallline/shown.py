"""What a prompt and a notebook show of a result: its table and sentences, as text or as HTML."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_WIDTH = 110
"""Columns of a table that is not shown in a terminal."""
_PRE = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'


class Tabled:
    """Mixed into a result that has a `table()`, it gives `repr` and a notebook's view of it."""

    def table(self) -> Table:
        """The result as a Rich table."""
        raise NotImplementedError

    def sentences(self) -> list[str]:
        """What stands below the table."""
        return []

    def __repr__(self) -> str:
        return shown(*self._parts()).text

    def _repr_html_(self) -> str:
        return shown(*self._parts()).html

    def _parts(self) -> list[RenderableType]:
        return [self.table(), *(f"- {sentence}" for sentence in self.sentences())]


@dataclass(frozen=True)
class Shown:
    """Something as a notebook shows it: HTML where it can, else text."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def shown(*parts: RenderableType, width: int = _WIDTH) -> Shown:
    """What Rich can draw, one below the other, `width` characters wide."""
    console = _console(width)
    for part in parts:
        console.print(part)
    html = console.export_html(inline_styles=True, code_format=_PRE, clear=False)
    return Shown(console.export_text().rstrip(), html)


def _console(width: int) -> Console:
    from rich.console import Console

    return Console(file=io.StringIO(), record=True, width=width, highlight=False, markup=False, force_jupyter=False)
