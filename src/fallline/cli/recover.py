"""`fallline recover`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import AsJson, app


@app.command()
def recover(
    where: Annotated[Path, typer.Argument(help="The damaged record: a file, or the directory that holds it.")],
    out: Annotated[
        Path | None, typer.Option(help="Directory of the new record [default: the damaged one's name + -recovered].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Save what is whole of a damaged or truncated record into a new one; the damaged one stays as it is."""
    import json
    from dataclasses import asdict

    from ..study.record.recover import recover as run

    saved = run(where, out)
    if as_json:
        print(json.dumps(asdict(saved), default=str))
        return
    studies = "1 study" if len(saved.studies) == 1 else f"{len(saved.studies)} studies"
    print(f"Saved {saved.trials} whole trials and {studies} into {saved.out}.")
    for study in saved.studies:
        state = "complete" if study.trials >= study.planned else "incomplete"
        print(f"- {study.id}: {study.trials} of {study.planned} planned trials, {state}")
    if saved.loose:
        print(f"- {saved.loose} trials belong to no study that was saved; the command that began it finds them again.")
    print(f"\nGo on with: fallline resume {saved.out}")
