"""`fallline export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app
from .compare import Record

if TYPE_CHECKING:
    from ..study import Result


@app.command()
def export(
    where: Annotated[Path, typer.Argument(metavar="DIR", help="Directory (or file) of the record.")] = Path("results"),
    out: Annotated[str, typer.Option(help="File to write; for optuna also a database URL.")] = ...,  # type: ignore[assignment]
    form: Annotated[
        str | None,
        typer.Option("--format", help="parquet, csv, json or optuna.", show_default="by the file's name"),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Study to export.", show_default="the one begun or gone on with last")
    ] = None,
    curves: Annotated[bool, typer.Option("--curves", help="A row for each point of the learning curves.")] = False,
    record: Record = None,
) -> None:
    """Write a study's trials as a table, one row each, or as Optuna studies that optuna-dashboard opens."""
    from ..report.files import write_whole
    from ..study import Result
    from ..study.export import check_form, columns, curve_columns, save

    chosen = form or _form(out)
    if chosen != "optuna":
        check_form(chosen)
    result = Result.load(record or where, study)
    if chosen == "optuna":
        print(f"Look at it with: optuna-dashboard {_to_optuna(result, out)}")
        return
    table = curve_columns(result) if curves else columns(result)
    path = write_whole(Path(out), lambda draft: save(table, chosen, draft))
    rows = len(table["study"])
    print(f"Wrote {rows} {'points of curves' if curves else 'trials'} of {result.study.id} to {path}.")


def _form(out: str) -> str:
    """The format that a file's name says."""
    from ..errors import InputError

    ending = Path(out).suffix.lstrip(".").lower()
    if "://" in out or ending in ("db", "sqlite", "sqlite3"):
        return "optuna"
    if not ending:
        raise InputError(f"--out {out} does not say in which format; add --format parquet, csv, json or optuna.")
    return ending


def _to_optuna(result: Result, out: str) -> str:
    """Write the Optuna studies; a file gets all of them or stays as it was. Returns the storage's URL."""
    import shutil

    from ..report.files import write_whole
    from ..study.export import to_optuna

    if "://" in out and not out.startswith("sqlite:///"):
        to_optuna(result, out)
        return out
    path = Path(out.removeprefix("sqlite:///"))

    def add(draft: Path) -> None:
        if path.exists():
            shutil.copy(path, draft)
        to_optuna(result, f"sqlite:///{draft}")

    write_whole(path, add)
    return f"sqlite:///{path}"
