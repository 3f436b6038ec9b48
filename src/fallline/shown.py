"""What a prompt and a notebook show of a result: its table and sentences, as text or as HTML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDTH = 110
"""Columns of a table that is not shown in a terminal."""


class Tabled:
    """Mixed into a result that has a `table()`, it gives `repr` and a notebook's view of it."""

    def table(self) -> Table:
        """The result as a Rich table."""
        raise NotImplementedError

    def sentences(self) -> list[str]:
        """What stands below the table."""
        return []

    def __repr__(self) -> str:
        console = _console()
        self._print(console)
        return console.export_text().rstrip()

    def _repr_html_(self) -> str:
        console = _console()
        self._print(console)
        form = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'
        return console.export_html(inline_styles=True, code_format=form)

    def _print(self, console: Console) -> None:
        console.print(self.table())
        for sentence in self.sentences():
            console.print(f"- {sentence}")


def _console() -> Console:
    from rich.console import Console

    return Console(file=io.StringIO(), record=True, width=_WIDTH, highlight=False, markup=False)
