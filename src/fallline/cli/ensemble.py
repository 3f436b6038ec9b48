"""`fallline ensemble`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .answer import say
from .app import INTERRUPTED, AsJson, app
from .compare import (
    L1,
    L2,
    NAMED,
    Augment,
    Data,
    Freeze,
    Head,
    LabelSmoothing,
    Penalize,
    TargetColumn,
    Weights,
)
from .given import values

if TYPE_CHECKING:
    from ..ensembles import Ensemble, Scores
    from ..ensembles.cook import Cooked


_OWN = ("problem", "members", "lr", "given", "soup", "bins", "data", "target_column", "as_json")
"""Options that are seen to here; all others are arguments of `ensembles.train`, under its names."""


@app.command()
def ensemble(
    context: typer.Context,
    problem: Annotated[str, typer.Argument(help=NAMED)],
    kind: Annotated[
        str,
        typer.Option(
            help="snapshot: one run of cyclic rates; independent: runs of their own; fge: short late cycles, with its "
            'settings as in "fge(share=0.8, high=0.5, low=0.1)".'
        ),
    ] = "snapshot",
    members: Annotated[int, typer.Option(help="Models that predict together.")] = 5,
    rule: Annotated[str, typer.Option(help='The rule, with modifiers: "clip_norm(adamw)".')] = "adamw",
    lr: Annotated[
        float | None, typer.Option(help="Learning rate, from which it falls.", show_default="the rule's")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Another setting of the rule, or of the problem's model, augmentation or loss, as NAME=VALUE: "
            "beta1=0.95, dropout=0.2; may be given several times.",
        ),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help='Of independent members, as "warmup(5%) > cosine".', show_default="the problem's")
    ] = None,
    average: Annotated[
        str | None,
        typer.Option(
            help='Of weights, at which members are taken: ema, "ema(0.99)", or none.', show_default="the problem's own"
        ),
    ] = None,
    l1: L1 = None,
    l2: L2 = None,
    penalize: Penalize = "",
    weights: Weights = None,
    head: Head = "auto",
    freeze: Freeze = "",
    augment: Augment = None,
    label_smoothing: LabelSmoothing = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data of a run.", show_default="the problem's")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples of a batch.", show_default="the problem's")] = None,
    seed: Annotated[int, typer.Option(help="Of initial weights, data order and dropout.")] = 0,
    soup: Annotated[
        bool,
        typer.Option("--soup", help="Also one model: the mean of weights of those members that help."),
    ] = False,
    bins: Annotated[int, typer.Option(help="Of the calibration error.")] = 15,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the members.", show_default="ensembles/PROBLEM-RULE-KIND")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again, where the directory holds an ensemble.")] = False,
    data: Data = None,
    target_column: TargetColumn = None,
    as_json: AsJson = False,
) -> None:
    """Train models that predict together, and score them on test data: each, and all as one.

    What is trained is kept when it is stopped; the same command goes on from there.
    """
    from ..ensembles import train as run
    from ..ensembles.cook import cook
    from ..ensembles.files import write_member
    from ..ensembles.score import check_bins
    from ..problems import load
    from ..study.candidates import load_rule

    check_bins(bins)
    # the problem first: its file may define the rule
    loaded = load(problem, data, target_column)
    wanted = values(given or []) | ({} if lr is None else {"lr": lr})
    settings, own = loaded.divided(wanted, load_rule(rule).hypers)
    loaded = loaded.with_settings(own)
    if not as_json:
        say(loaded.notes)
    place = out or Path("ensembles") / re.sub(r"[^\w.-]+", "-", f"{loaded.name}-{rule}-{kind}").strip("-")
    try:
        asked = {name: value for name, value in context.params.items() if name not in _OWN}
        made = run(loaded, members, settings=settings, **{**asked, "out": place})
    except KeyboardInterrupt:
        print("Stopped before the first member was finished; the same command goes on from there.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    scores = made.score(loaded, bins=bins)
    cooked = cook(made.members, made.names, loaded) if soup else None
    if cooked is not None:
        write_member(place / "soup.safetensors", cooked.weights)
    if as_json:
        about = {"names": made.names, "complete": made.complete, "notes": made.notes}
        print(json.dumps(about | scores.to_dict() | ({} if cooked is None else {"soup": cooked.to_dict()})))
    else:
        title = f"{loaded.name}: {kind} ensemble of {rule}, test data"
        at = repr(loaded.source) if loaded.data is None else f"{loaded.source!r}, {loaded.data!r}"
        set_ = f".with_settings({loaded.settings})" if own else ""
        _show(made, scores, cooked, title, f"problems.load({at}){set_}", place)
    if not made.complete:
        raise typer.Exit(INTERRUPTED)


def _show(made: Ensemble, scores: Scores, cooked: Cooked | None, title: str, problem: str, place: Path) -> None:
    """Print what came out, and what to look at next."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from ..ensembles import words

    console = Console(highlight=False, markup=False)
    console.print(words.table(scores, title))
    if scores.calibration is not None:
        console.print(words.reliability(scores.calibration))
    for sentence in [*words.sentences(made, scores), *([] if cooked is None else [cooked.said])]:
        console.print(Padding(Text(f"- {sentence}"), (0, 0, 0, 1)))
    if not made.complete:
        console.print("\nGo on with the same command.")
        return
    files = "ensemble.json" if cooked is None else "ensemble.json, soup.safetensors"
    console.print(f"\nWritten to {place}: {len(made)} members, {files}", soft_wrap=True)
    loading = f"ensembles.Ensemble.load({str(place)!r}, {problem})"
    console.print(f"Look next at single predictions: {loading}.predict(x)", soft_wrap=True)
    if cooked is None:
        console.print("Or at one model, at the cost of one: the same command with --soup")
