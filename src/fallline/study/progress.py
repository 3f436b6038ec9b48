"""What a comparison shows while it runs: a bar with the time left, the rule in training and the best score so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import TextColumn, TimeElapsedColumn

from ..progress import Bar, left

if TYPE_CHECKING:
    from .plan import Plan
    from .result import TrialRecord


class Watch(Bar):
    """A progress bar counted in epochs, that follows any number of trials at once, in any order."""

    def __init__(self, show: bool | None, plan: Plan, epochs: int, console: Console | None = None) -> None:
        columns = TextColumn("{task.fields[count]} trials"), TimeElapsedColumn(), *left()
        super().__init__(show, *columns, TextColumn("{task.fields[best]}"), console=console, count="", best="")
        self._plan, self._epochs = plan, epochs
        self._best: TrialRecord | None = None
        self._running: dict[str, int] = {}
        self._done = 0

    def found(self, trials: int) -> None:
        """So many trials were done before; they count, but say nothing about the time left."""
        self._done += trials
        if trials:
            self.restart()
        self._update("")

    def epoch(self, key: str, rule: str, epoch: int) -> None:
        """A trial of that rule has ended an epoch."""
        self._running[key] = epoch
        self._update(rule)

    def done(self, key: str, trial: TrialRecord) -> None:
        """A trial has ended."""
        self._running.pop(key, None)
        self._done += 1
        if self._best is None or (trial.score - self._best.score) * (1 if self._plan.maximize else -1) > 0:
            self._best = trial
        self._update(trial.rule)

    def waiting(self, trials: int) -> None:
        """All that is missing of a step is being trained by other processes."""
        self._update(f"waiting for {trials} trial{'' if trials == 1 else 's'} of other processes")

    def say(self, text: str) -> None:
        """A line of text, where there is a bar."""
        if self.shown:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A line of text that must be told."""
        super().say(text)

    def _update(self, rule: str) -> None:
        best, planned = self._best, self._plan.planned
        self.update(
            description=rule,
            total=planned * self._epochs,
            completed=self._done * self._epochs + sum(self._running.values()),
            count=f"{self._done}/{planned}",
            best="" if best is None else f"best valid {self._plan.metric_name} {best.score:.4g} ({best.rule})",
        )
