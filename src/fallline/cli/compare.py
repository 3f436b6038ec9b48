"""`fallline compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import INTERRUPTED, AsJson, app


@app.command()
def compare(
    problem: Annotated[str, typer.Argument(help="A built-in problem, file.py:name or package.module:name.")],
    rules: Annotated[str | None, typer.Option(help="Rules to compare, separated by commas.")] = None,
    trials: Annotated[int, typer.Option(help="Random-search trials for every rule.")] = 16,
    seeds: Annotated[int, typer.Option(help="Fresh seeds on which each winner is trained again.")] = 5,
    out: Annotated[Path, typer.Option(help="Directory of the record and the report.")] = Path("results"),
    data: Annotated[Path | None, typer.Option(help="Directory of the data, for problems that need files.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the whole study.")] = 0,
    target: Annotated[float | None, typer.Option(help="Validation metric for steps and seconds to target.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare optimizers on a problem: an equal search for each, winners on fresh seeds, a report.

    What is finished is kept when it is stopped; the same command goes on from there.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from .. import report
    from ..problems import load
    from ..study import DEFAULT_RULES
    from ..study import compare as run

    report.check()
    # the problem first: its file may define rules that `--rules` names
    loaded = load(problem, data)
    result = run(loaded, rules or DEFAULT_RULES, trials=trials, seeds=seeds, out=out, seed=seed, target=target)
    page = result.report(out / "report.html")
    if as_json:
        print(result.to_json())
    else:
        console = Console(highlight=False, markup=False)
        console.print(result.table())
        for sentence in [*(difference.sentence for difference in result.differences), *result.notes]:
            console.print(Padding(Text(f"- {sentence}"), (0, 0, 0, 1)))
        console.print(f"\nLook next at the report: {page}")
    if not result.complete:
        raise typer.Exit(INTERRUPTED)
