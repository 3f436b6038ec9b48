"""`fallline soup`."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from .answer import say
from .app import AsJson, app
from .compare import NAMED, Data, TargetColumn
from .given import values

if TYPE_CHECKING:
    from ..ensembles.cook import Cooked


@app.command()
def soup(
    problem: Annotated[str, typer.Argument(help=NAMED)],
    checkpoints: Annotated[list[Path], typer.Argument(help="Files of weights of the problem's model, two or more.")],
    kind: Annotated[
        str, typer.Option(help="greedy: the mean of those that help on validation data; uniform: the mean of all.")
    ] = "greedy",
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A keyword argument of the model, as it was trained, as NAME=VALUE; may be given several times.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The file of weights to write.")] = Path("soup.safetensors"),
    data: Data = None,
    target_column: TargetColumn = None,
    as_json: AsJson = False,
) -> None:
    """Make one model of several checkpoints: the mean of their weights, chosen on validation data, scored on test data.

    It works where they were fine-tuned from the same weights, or taken late in one run.
    """
    from ..ensembles.cook import cook_files
    from ..ensembles.files import write_member
    from ..problems import load

    loaded = load(problem, data, target_column)
    if not as_json:
        say(loaded.notes)
    cooked = cook_files(checkpoints, loaded.with_settings(values(given or [])), kind=kind)
    write_member(out, cooked.weights)
    if as_json:
        print(json.dumps({**cooked.to_dict(), "file": str(out)}, indent=2))
        return
    _show(cooked, f"{loaded.name}: {kind} soup")
    print(f"\nWritten to {out}")
    print(f"Look next at what more training makes of it: fallline train {quote(problem)} --from {quote(str(out))}")


def _show(cooked: Cooked, title: str) -> None:
    """Print what each reaches by itself and in the soup, on validation data, and the soup on test data."""
    from rich import box
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False)
    table = Table(title=title, box=box.SIMPLE)
    for head in ("checkpoint", f"valid {cooked.metric}", "in the soup"):
        table.add_column(head, justify="left" if head == "checkpoint" else "right")
    for name, score in zip(cooked.names, cooked.soup.alone, strict=True):
        table.add_row(name, f"{score:.4g}", "yes" if name in cooked.used else "no")
    table.add_section()
    table.add_row("soup", f"{cooked.soup.score:.4g}", str(len(cooked.used)), style="bold")
    console.print(table)
    console.print(Padding(Text(f"- On test data. {cooked.said}"), (0, 0, 0, 1)))
