"""A run's epochs as a table: what a prompt and a notebook show of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .history import Row

if TYPE_CHECKING:
    from rich.table import Table

    from .result import Run

_MOST = 12
"""Epochs that a table has; of more, so many are taken evenly, and the best one."""


def table(run: Run) -> Table:
    """The epochs of a run, a row each: losses, the validation metric, the learning rate at its end."""
    from rich import box
    from rich.table import Table

    rows = _some(run.history, run.best_epoch)
    drawn = Table(title=run.summary().partition("\n")[0], box=box.SIMPLE)
    for head in ("epoch", "updates", "train loss", "valid loss", f"valid {run.metric}", "lr"):
        drawn.add_column(head, justify="right")
    drawn.add_column("")
    for row in rows:
        values = (row.train_loss, row.valid_loss, row.valid_metric, row.lr)
        told = ("" if value is None else f"{value:.4g}" for value in values)
        drawn.add_row(str(row.epoch), str(row.step), *told, "best" if row.epoch == run.best_epoch else "")
    if len(rows) < len(run.history):
        drawn.caption = f"{len(rows)} of {len(run.history)} rows; all of them: .history"
    return drawn


def _some(rows: Sequence[Row], best: int | None) -> list[Row]:
    if len(rows) <= _MOST:
        return list(rows)
    shown = {round(k * (len(rows) - 1) / (_MOST - 1)) for k in range(_MOST)}
    return [row for k, row in enumerate(rows) if k in shown or row.epoch == best]
