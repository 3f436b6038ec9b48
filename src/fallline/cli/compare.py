"""`fallline compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .answer import answer, say
from .app import AsJson, app

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
Data = Annotated[Path | None, typer.Option(help="Directory of the data, for problems that need files.")]
TargetColumn = Annotated[str | None, typer.Option(help="The column of a table that is to be predicted.")]
NAMED = (
    "A built-in problem, a table (.csv, .parquet), a folder of pictures, hf:NAME (Hugging Face), file.py:name or "
    "package.module:name."
)


@app.command()
def compare(
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
    result = run(
        loaded,
        rules or DEFAULT_RULES,
        trials=trials,
        seeds=seeds,
        out=out,
        record=record,
        seed=seed,
        target=target,
        sampler=sampler,
        pruner=chosen,
        batch=batch,
        memory=memory,
        stack=stack,  # type: ignore[arg-type]
        processes=processes,
        schedule=schedule,
        average=average,
    )
    answer(result, out, as_json, loaded.notes)
