"""How a verb that ends with a comparison's result shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .app import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..study import Result


def answer(result: Result, out: Path, as_json: bool, told: Sequence[str] = ()) -> None:
    """Print the result and write the report into `out`; one that is not complete ends the program as Ctrl-C does.

    `told` are notes that were printed before.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    # printed first: a disk that has no room for the report is no reason to show nothing
    if as_json:
        print(result.to_json())
    else:
        console.print(result.table())
        notes = [note for note in result.notes if note not in told]
        for sentence in [*(difference.sentence for difference in result.differences), *notes]:
            console.print(Padding(Text(f"- {sentence}"), (0, 0, 0, 1)))
    page = result.report(out / "report.html")
    if not as_json:
        console.print(f"\nLook next at the report: {page}")
    if not result.complete:
        raise typer.Exit(INTERRUPTED)


def say(notes: Sequence[str]) -> None:
    """Print on stderr how a problem's data were read, before hours are spent on them."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(stderr=True, highlight=False, markup=False)
    for note in notes:
        console.print(Padding(Text(f"- {note}"), (0, 0, 0, 1)))
