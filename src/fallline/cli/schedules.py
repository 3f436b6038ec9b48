"""`fallline schedules` and `fallline schedules show`."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .app import AsJson, app

schedules_app = typer.Typer(
    help="The schedules: all of them, a line each, or one drawn over a run.", invoke_without_command=True
)
app.add_typer(schedules_app, name="schedules")

_EXAMPLES = """
Put together: > one after another, * multiplied, ; for several quantities
(lr, momentum, weight_decay, batch_size):
  "warmup(5%) > cosine"
  "restarts(10 epochs) * linear"
  "lr: one_cycle; weight_decay: cosine(end=0.1)"
A length is a share of the run (5%), a number of updates (500) or of epochs
(2 epochs); `length` is that of a stage: one stage leaves it out and takes the
rest. Values are factors of the ones given.

Draw one: fallline schedules show "warmup(5%) > cosine\""""


@schedules_app.callback()
def list_schedules(context: typer.Context, as_json: AsJson = False) -> None:
    """Every schedule, a line each."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from ..schedules import REGISTRY

    found = [REGISTRY[name] for name in sorted(REGISTRY)]
    if as_json:
        told = ("name", "call", "summary", "paper", "sets")
        print(json.dumps([{name: getattr(each, name) for name in told} for each in found], indent=2))
        return
    console = Console(highlight=False, markup=False)
    for each in found:
        sets = "" if each.sets == ("lr",) else f" [sets {' and '.join(each.sets)}]"
        console.print(Text(each.call, style="bold"), no_wrap=True, overflow="ellipsis")
        console.print(Padding(Text(f"{each.summary}{sets}"), (0, 0, 0, 4), expand=False))
    print(_EXAMPLES)


@schedules_app.command("show")
def show(
    schedule: Annotated[str, typer.Argument(help='A schedule, such as "warmup(5%) > cosine".')],
    steps: Annotated[int, typer.Option(help="Updates of the run, before any growth of the batch.")] = 1000,
    epochs: Annotated[int, typer.Option(help="Epochs of the run.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(help="A picture (.png, .svg, .pdf) or page (.html) to write.", show_default="the terminal"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a schedule over a run: in the terminal, or into a file."""
    from ..report.schedule import text, write
    from ..schedules import parse
    from ..schedules.curves import curves

    drawn = curves(parse(schedule), steps, epochs)
    written = None if out is None else write(drawn, out)
    if as_json:
        print(json.dumps({each.quantity: {"epochs": each.epochs, "values": each.values} for each in drawn.curves}))
        return
    if written is None:
        print(f"{drawn.text}\n")
        for curve in drawn.curves:
            print(f"{text(curve)}\n")
    if drawn.steps != drawn.nominal:
        print(f"{drawn.steps} updates in place of {drawn.nominal}: the batch grows.")
    if drawn.watches:
        print("Drawn for a validation loss that never falls.")
    if written is not None:
        print(f"Look next at the picture: {written}")
    print(f"Then train with it: fallline train digits --schedule {quote(drawn.text)}")
