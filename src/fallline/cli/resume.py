"""`fallline resume`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .answer import answer
from .app import AsJson, app
from .compare import Data, Record


@app.command()
def resume(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Directory that the comparison was kept in.")] = Path(
        "results"
    ),
    study: Annotated[
        str | None, typer.Option(help="Study to go on with.", show_default="the one begun or gone on with last")
    ] = None,
    record: Record = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Go on with an interrupted comparison, from its last checkpoints, to the numbers it would have had."""
    from .. import report
    from ..study import resume as run

    report.check()
    answer(run(out, study=study, record=record, data=data), out, as_json)
