"""`fallline lr-range`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .answer import say
from .app import INTERRUPTED, AsJson, app
from .compare import NAMED, Data, TargetColumn
from .given import numbers


@app.command("lr-range")
def lr_range(
    problem: Annotated[str, typer.Argument(help=NAMED)],
    rule: Annotated[str, typer.Option(help="The rule whose learning rate is looked for.")] = "adamw",
    seeds: Annotated[int, typer.Option(help="Sweeps, each from its own initial weights and data order.")] = 5,
    low: Annotated[
        float | None, typer.Option(help="The smallest rate.", show_default="a tenth of the rule's search range")
    ] = None,
    high: Annotated[
        float | None, typer.Option(help="The largest rate.", show_default="ten times the rule's search range")
    ] = None,
    steps: Annotated[int, typer.Option(help="Mini-batches of a sweep.")] = 200,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another hyper-parameter of the rule, as NAME=VALUE; may be given several times."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory of the page.")] = Path("results"),
    data: Data = None,
    target_column: TargetColumn = None,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Suggest a learning rate: the loss while the rate grows step by step, for several seeds.

    The model is left as it was. Ctrl-C ends with what was swept until then.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from .. import report
    from ..problems import load
    from ..study import lr_range as run

    report.check()
    # the problem first: its file may define the rule
    loaded = load(problem, data, target_column)
    if not as_json:
        say(loaded.notes)
    settings = numbers(given or [])
    found = run(loaded, rule, seeds=seeds, low=low, high=high, steps=steps, settings=settings, seed=seed)
    if not found.sweeps:
        raise typer.Exit(INTERRUPTED)
    page = found.report(out / "lr-range.html")
    if as_json:
        print(found.to_json())
    else:
        console = Console(highlight=False, markup=False)
        console.print(found.table())
        console.print(Text(found.advice, style="bold"))
        for note in found.notes:
            console.print(Padding(Text(f"- {note}"), (0, 0, 0, 1)))
        console.print(f"\nLook next at the page: {page}")
        column = "" if target_column is None else f" --target-column {quote(target_column)}"
        search = f"fallline compare {quote(problem)}{column} --rules {quote(rule)}"
        console.print(f"Then let a search find it: {search}", soft_wrap=True)
    if not found.complete:
        raise typer.Exit(INTERRUPTED)
