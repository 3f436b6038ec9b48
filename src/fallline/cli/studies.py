"""`fallline studies`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import AsJson, app
from .compare import Record

if TYPE_CHECKING:
    from ..study.record.overview import Overview


@app.command()
def studies(
    where: Annotated[Path, typer.Argument(metavar="DIR", help="Directory (or file) of the record.")] = Path("results"),
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """List the studies of a record: how far each is, and which rule is ahead."""
    import json
    from dataclasses import asdict

    from ..study.record.overview import overview
    from ..study.record.record import Record as Kept

    place = record or where
    with Kept.read(place) as kept:
        found = overview(kept)
    if as_json:
        print(json.dumps([asdict(study) for study in found], allow_nan=False))
        return
    _show(found)
    named = f"--record {kept.where}" if record else str(where)
    if not found:
        print(f"The record {kept.where} holds no study; `fallline compare PROBLEM --out DIR` makes one.")
    elif not found[-1].complete:
        print(f"Go on with: fallline resume {named} --study {found[-1].id}")
    else:
        print(f"Take the trials elsewhere with: fallline export {named} --study {found[-1].id} --out trials.csv")


def _show(found: list[Overview]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not found:
        return
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for title in ("study", "rules", "trials", "state", "last opened\n(UTC)", "ahead on\ntest data"):
        table.add_column(title, justify="right" if title == "trials" else "left", no_wrap=title != "rules")
    for study in found:
        ahead = "" if study.best_rule is None else f"{study.best_rule} {study.best_score:.4g}"
        table.add_row(
            study.id,
            ", ".join(study.rules),
            f"{study.done}/{study.planned}",
            "complete" if study.complete else "unfinished",
            study.opened[:16].replace("T", " "),
            ahead,
        )
    Console(highlight=False, markup=False).print(table)
