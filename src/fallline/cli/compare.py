"""`fallline compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .answer import answer, say
from .app import AsJson, app
from .given import values

Record = Annotated[
    str | None,
    typer.Option(help="SQLAlchemy URL of a database for the record.", show_default="record.sqlite in the directory"),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        help='What every trial follows, as "warmup(5%) > cosine", or none; see fallline schedules.',
        show_default="the problem's own",
    ),
]
Average = Annotated[
    str | None,
    typer.Option(
        help='The average of its weights that every trial is judged at: ema, polyak, "swa(start=75%)", or none.',
        show_default="the problem's own",
    ),
]
Patience = Annotated[
    str | None,
    typer.Option(
        help="End after so many epochs without a better one, and take that one's weights; or none.",
        show_default="the problem's own",
    ),
]
L1 = Annotated[float | None, typer.Option("--l1", help="L1 penalty.", show_default="the problem's own")]
L2 = Annotated[float | None, typer.Option("--l2", help="L2 penalty.", show_default="the problem's own")]
Penalize = Annotated[str, typer.Option(help="Modules that l1 and l2 are for, separated by commas.", show_default="all")]
Weights = Annotated[Path | None, typer.Option("--from", help="A checkpoint whose weights to start from.")]
Head = Annotated[str, typer.Option(help="The last layer of --from: auto (where it fits), load or skip.")]
Freeze = Annotated[str, typer.Option(help="Modules that do not learn, separated by commas.")]
UnfreezeEvery = Annotated[
    int | None, typer.Option(help="Let one more layer learn every so many epochs, the last one first.")
]
LayerFactor = Annotated[float | None, typer.Option(help="Each layer learns so many times slower than the next (2.6).")]
Augment = Annotated[
    str | None,
    typer.Option(
        help='What changes training batches, as "flip > crop(4) > cutmix", or none.', show_default="the problem's own"
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        help="Share of a label that is spread over the classes in training.", show_default="the problem's own"
    ),
]
Data = Annotated[Path | None, typer.Option(help="Directory of the data, for problems that need files.")]
TargetColumn = Annotated[str | None, typer.Option(help="The column of a table that is to be predicted.")]
NAMED = (
    "A built-in problem, a table (.csv, .parquet), a folder of pictures, hf:NAME (Hugging Face), file.py:name or "
    "package.module:name."
)

_OWN = ("problem", "rules", "pruner", "eta", "min_epochs", "given", "data", "target_column", "as_json")
"""Options that are seen to here; all others are arguments of `study.compare`, under its names."""


@app.command()
def compare(
    context: typer.Context,
    problem: Annotated[str, typer.Argument(help=NAMED)],
    rules: Annotated[
        str | None,
        typer.Option(help='Rules to compare, separated by commas; with modifiers: "adamw,ema(clip_norm(adamw))".'),
    ] = None,
    trials: Annotated[int, typer.Option(help="Search trials for every rule.")] = 16,
    seeds: Annotated[int, typer.Option(help="Fresh seeds on which each winner is trained again.")] = 5,
    out: Annotated[Path, typer.Option(help="Directory of record, checkpoints and report.")] = Path("results"),
    record: Record = None,
    data: Data = None,
    target_column: TargetColumn = None,
    seed: Annotated[int, typer.Option(help="Seed of the whole study.")] = 0,
    target: Annotated[float | None, typer.Option(help="Validation metric for steps and seconds to target.")] = None,
    sampler: Annotated[
        str, typer.Option(help="How settings are chosen: random, grid, quasi-random, tpe, gp or cma-es.")
    ] = "random",
    batch: Annotated[
        int | None, typer.Option(help="Trials of a rule asked for at once.", show_default="by the sampler")
    ] = None,
    pruner: Annotated[str, typer.Option(help="End what falls behind: none, halving or hyperband.")] = "none",
    eta: Annotated[int, typer.Option(help="Of how many trials one goes on, when pruning.")] = 3,
    min_epochs: Annotated[int, typer.Option(help="Epochs that every trial is given, when pruning.")] = 1,
    memory: Annotated[
        str | None, typer.Option(help="What training may take, as 8GiB or 500MB.", show_default="half of what is free")
    ] = None,
    stack: Annotated[str, typer.Option(help="Trials in a stack: auto (measured), off or a number.")] = "auto",
    processes: Annotated[
        int | None, typer.Option(help="Processes for what is not stacked.", show_default="one a core")
    ] = None,
    schedule: Schedule = None,
    average: Average = None,
    patience: Patience = None,
    l1: L1 = None,
    l2: L2 = None,
    penalize: Penalize = "",
    weights: Weights = None,
    head: Head = "auto",
    freeze: Freeze = "",
    unfreeze_every: UnfreezeEvery = None,
    layer_factor: LayerFactor = None,
    augment: Augment = None,
    label_smoothing: LabelSmoothing = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A keyword argument of the problem's model, augmentation or loss for every trial, as NAME=VALUE: "
            "dropout=0.2; may be given several times.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare optimizers on a problem: an equal search for each, winners on fresh seeds, a report.

    What is trained is kept when it is stopped: `fallline resume` goes on from there. The same command in several
    terminals shares the work.
    """
    from .. import report
    from ..problems import load
    from ..study import DEFAULT_RULES
    from ..study import compare as run
    from ..study.search import pruners

    report.check()
    chosen = pruners.PRUNERS[pruner](eta, min_epochs) if pruner in pruners.PRUNERS else pruner
    # the problem first: its file may define rules that `--rules` names
    loaded = load(problem, data, target_column)
    if not as_json:
        say(loaded.notes)
    asked = {name: value for name, value in context.params.items() if name not in _OWN}
    result = run(loaded, rules or DEFAULT_RULES, pruner=chosen, settings=values(given or []), **asked)
    answer(result, out, as_json, loaded.notes)
