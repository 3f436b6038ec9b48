"""What a run shows while it trains: epoch, step, loss, metric, learning rate, examples a second, the time left."""

from __future__ import annotations

from rich.console import Console
from rich.progress import TextColumn
from rich.table import Column

from ..progress import Bar, left
from .history import Row


class Watch(Bar):
    """A progress bar counted in steps, and a line for every epoch above it."""

    def __init__(self, show: bool | None, metric: str, epochs: int, steps: int, console: Console | None = None) -> None:
        count = TextColumn("step {task.completed:.0f}/{task.total:.0f}")
        said = TextColumn("{task.fields[said]}", table_column=Column())  # wrapped where it does not fit
        super().__init__(show, count, said, *left(), total=steps, console=console, refreshed=4, width=12, said="")
        self._metric, self._epochs = metric, epochs
        self._last = ""

    def goes_on(self, step: int) -> None:
        """So many steps were taken before; they say nothing about the time left."""
        self.restart(step)

    def steps(self, epoch: int, step: int, loss: float, lr: float | None, rate: float) -> None:
        """Where training is: the epoch (from 1), steps taken, the latest mean loss, examples a second."""
        if self.shown:
            said = [f"loss {loss:.4g}", self._last, "" if lr is None else f"lr {lr:.3g}", f"{rate:,.0f} examples/s"]
            self.update(
                description=f"epoch {epoch}/{self._epochs}",
                completed=step,
                said="  ".join(part for part in said if part),
            )

    def epoch(self, row: Row) -> None:
        """An epoch has ended."""
        self._last = f"valid {self._metric} {row.valid_metric:.4g}"
        if self.shown and row.train_loss is not None:
            self.say(
                f"epoch {row.epoch}/{self._epochs}  train loss {row.train_loss:.4g}  valid loss {row.valid_loss:.4g}  "
                f"{self._last}"
            )
