"""What a run shows while it trains: epoch, step, loss, metric, learning rate, examples a second, the time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .history import Row


class Watch:
    """A progress bar on stderr, and a line for every epoch above it; silent when `show` is false, or None and stderr
    is no terminal."""

    def __init__(self, show: bool | None, metric: str, epochs: int, steps: int, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self.shown = self._console.is_terminal if show is None else bool(show)
        self._metric, self._epochs = metric, epochs
        self._last = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[said]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self.shown,
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("", total=steps, said="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def goes_on(self, step: int) -> None:
        """So many steps were taken before; they say nothing about the time left."""
        self._bar.reset(self._task, completed=step)

    def steps(self, epoch: int, step: int, loss: float, lr: float | None, rate: float) -> None:
        """Where training is: the epoch (from 1), steps taken, the latest mean loss, examples a second."""
        if self.shown:
            said = [f"loss {loss:.4g}", self._last, "" if lr is None else f"lr {lr:.3g}", f"{rate:,.0f} examples/s"]
            self._bar.update(
                self._task,
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

    def say(self, text: str) -> None:
        """A line of text."""
        self._console.print(text, highlight=False, markup=False)
