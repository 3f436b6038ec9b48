"""What the training of an ensemble shows: epochs of all runs, members taken, the time left."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .kinds import Plan


class Watch:
    """A progress bar on stderr, counted in epochs; silent when `show` is false, or None and stderr is no terminal."""

    def __init__(
        self,
        show: bool | None,
        what: str,
        plan: Plan,
        held: Collection[tuple[int, int]],
        console: Console | None = None,
    ) -> None:
        console = console or Console(stderr=True)
        self._members = len(plan.members)
        finished = {run for run in range(len(plan.seeds)) if all((run, step) in held for step in plan.steps)}
        self._epochs = dict.fromkeys(finished, plan.problem.epochs)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[members]} members"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not (console.is_terminal if show is None else bool(show)),
            transient=True,
        )
        self._task = self._bar.add_task(what, total=len(plan.seeds) * plan.problem.epochs, members="")
        self.taken(len(held))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def epoch(self, run: int, epoch: int) -> None:
        """A run has ended an epoch."""
        self._epochs[run] = epoch
        self._bar.update(self._task, completed=sum(self._epochs.values()))

    def taken(self, members: int) -> None:
        """So many members are finished."""
        self._bar.update(self._task, members=f"{members}/{self._members}", completed=sum(self._epochs.values()))
