"""What the training of an ensemble shows: epochs of all runs, members taken, the time left."""

from __future__ import annotations

from collections.abc import Collection

from rich.console import Console
from rich.progress import TextColumn, TimeElapsedColumn

from ..progress import Bar, left
from .kinds import Plan


class Watch(Bar):
    """A progress bar counted in epochs of all runs."""

    def __init__(
        self,
        show: bool | None,
        what: str,
        plan: Plan,
        held: Collection[tuple[int, int]],
        console: Console | None = None,
    ) -> None:
        columns = TextColumn("{task.fields[members]} members"), TimeElapsedColumn(), *left()
        total = len(plan.seeds) * plan.problem.epochs
        super().__init__(show, *columns, what=what, total=total, console=console, members="")
        self._members = len(plan.members)
        finished = {run for run in range(len(plan.seeds)) if all((run, step) in held for step in plan.steps)}
        self._epochs = dict.fromkeys(finished, plan.problem.epochs)
        self.taken(len(held))

    def epoch(self, run: int, epoch: int) -> None:
        """A run has ended an epoch."""
        self._epochs[run] = epoch
        self.update(completed=sum(self._epochs.values()))

    def taken(self, members: int) -> None:
        """So many members are finished."""
        self.update(members=f"{members}/{self._members}", completed=sum(self._epochs.values()))
