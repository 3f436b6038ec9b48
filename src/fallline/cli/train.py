"""`fallline train`."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .answer import say
from .app import AsJson, app
from .compare import (
    L1,
    L2,
    NAMED,
    Augment,
    Data,
    Freeze,
    Head,
    LabelSmoothing,
    LayerFactor,
    Patience,
    Penalize,
    TargetColumn,
    UnfreezeEvery,
    Weights,
)
from .given import values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..runs import Run

_SIGNALLED = 128
"""What shells add to a signal's number for the exit status."""
_OWN = ("problem", "rule", "given", "data", "target_column", "as_json")
"""Options that are seen to here; all others are arguments of `runs.train`, under its names."""


@app.command()
def train(
    context: typer.Context,
    problem: Annotated[str, typer.Argument(help=NAMED)],
    rule: Annotated[str, typer.Option(help='The rule, with modifiers: "ema(clip_norm(adamw))".')] = "adamw",
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default="the rule's")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Another setting of the rule, of a modifier, or of the problem's model, augmentation or loss, as "
            "NAME=VALUE: weight_decay=0.1, clip_norm=1, dropout=0.2; may be given several times.",
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help='As "warmup(5%) > cosine", or none; see fallline schedules.', show_default="the problem's own"
        ),
    ] = None,
    average: Annotated[
        str | None,
        typer.Option(
            help='Of weights: ema, polyak, "swa(start=75%)", or none; it is what is scored and kept.',
            show_default="the problem's own",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.", show_default="the problem's")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples of a batch.", show_default="the problem's")] = None,
    seed: Annotated[int, typer.Option(help="Of initial weights, data order and dropout.")] = 0,
    patience: Patience = None,
    accumulate: Annotated[int, typer.Option(help="Compute each batch in so many parts, to save memory.")] = 1,
    l1: L1 = None,
    l2: L2 = None,
    penalize: Penalize = "",
    precision: Annotated[str, typer.Option(help="fp32, or mixed: bf16, fp16.")] = "fp32",
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    weights: Weights = None,
    head: Head = "auto",
    freeze: Freeze = "",
    unfreeze_every: UnfreezeEvery = None,
    layer_factor: LayerFactor = None,
    augment: Augment = None,
    label_smoothing: LabelSmoothing = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of everything written.", show_default="runs/PROBLEM-RULE")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, where the directory holds a run.")] = False,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints, at least.")] = 10.0,
    log: Annotated[
        str, typer.Option(help="Where the history goes too: csv, tensorboard, mlflow, wandb, separated by commas.")
    ] = "",
    export: Annotated[str, typer.Option(help="Formats of the trained model: safetensors, onnx.")] = "safetensors",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1.", show_default="a GPU, if any")] = None,
    workers: Annotated[int, typer.Option(help="Processes that load a Dataset.")] = 0,
    data: Data = None,
    target_column: TargetColumn = None,
    as_json: AsJson = False,
) -> None:
    """Train a model for real: a schedule, averages, checkpoints; the same command goes on where it was stopped.

    Several processes share the work under torchrun: torchrun --nproc-per-node 2 -m fallline train ...
    """
    from ..errors import FalllineError
    from ..problems import load
    from ..runs import train as run

    first = os.environ.get("RANK", "0") == "0"
    try:
        # the problem first: its file may define the rule
        loaded = load(problem, data, target_column)
        if first:
            say(loaded.notes)
        place = out or Path("runs") / re.sub(r"[^\w.-]+", "-", f"{loaded.name}-{rule}").strip("-")
        asked = {name: value for name, value in context.params.items() if name not in _OWN}
        found = run(loaded, rule, values(given or []), **{**asked, "out": place})
    except FalllineError:
        if first:
            raise
        raise typer.Exit(2) from None  # told once, by the first of several processes
    if first:
        _show(found, loaded.notes, place, as_json)
    if not found.complete:
        raise typer.Exit(_SIGNALLED + (found.stopped_by or signal.SIGINT))
    if found.state == "diverged":
        raise typer.Exit(1)


def _show(run: Run, told: Sequence[str], place: Path, as_json: bool) -> None:
    """Print what came out, and what to look at next; `told` are notes that were printed before."""
    import json
    from shlex import join, quote

    if as_json:
        print(json.dumps(run.to_dict(), indent=2))
        return
    print(run.summary())
    for note in run.notes[len(told) :]:
        print(f"- {note}")
    command = join(["fallline", *sys.argv[1:]])
    if not run.complete:
        print(f"\nGo on with the same command: {command}")
        return
    print(f"\nWritten to {place}: {', '.join(path.name for path in run.files)}")
    at = quote(str(place))
    if (place / "tensorboard").exists():
        print(f"Look next at the curves: tensorboard --logdir {at}")
    elif run.state == "diverged":
        print(f"Look next for a learning rate that trains: fallline lr-range {quote(run.source)}")
    else:
        print(f"Look next at the epochs: {place / 'history.jsonl'}")
    weights = [path for path in run.files if path.name in ("best.safetensors", "model.safetensors")]
    if weights and run.state != "diverged":
        print(f"Start from this model elsewhere: fallline train PROBLEM --from {quote(str(weights[-1]))}")
