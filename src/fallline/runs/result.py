"""What a run gives: the trained model, its scores, its history, its files, and what to look at next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from ..shown import Tabled
from ..training import Score
from .history import Row

if TYPE_CHECKING:
    from rich.table import Table

State = Literal["finished", "stopped early", "diverged", "interrupted"]
"""How a run ended."""


@dataclass(frozen=True, repr=False)
class Run(Tabled):
    """A model trained by `fallline.train`.

    `model` is in evaluation mode and holds the weights that were scored: averages applied, and those of the best epoch
    where the run had `patience`. `state` is "finished", "stopped early", "diverged" or "interrupted"; `reason` says why
    a run diverged. `updates` are those of the weights, `seconds` of training without evaluation. `valid` and `test` are
    scores of `model`, None where it was not scored. `best_epoch` is the epoch with the best validation metric. `files`
    are those that were written, `bytes_per_update` the bytes of gradients that each process gave to be summed (0 for
    one process alone).
    """

    model: nn.Module
    state: State
    reason: str
    history: tuple[Row, ...]
    updates: int
    seconds: float
    best_epoch: int | None
    valid: Score | None
    test: Score | None
    problem: str
    metric: str
    settings: dict[str, Any]
    processes: int
    bytes_per_update: float
    directory: Path | None
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    source: str
    """What the problem was loaded from, or its name."""
    stopped_by: int = 0
    """The signal that interrupted it, if one did."""

    @property
    def complete(self) -> bool:
        """Whether it came to its end: an interrupted run can go on."""
        return self.state != "interrupted"

    def table(self) -> Table:
        """The epochs as a Rich table; of many some, the best one among them."""
        from .table import table

        return table(self)

    def sentences(self) -> list[str]:
        """What a prompt shows below the table: scores, notes, where more is said."""
        scores = (line.strip() for line in self.summary().splitlines()[1:])
        return [*scores, *self.notes, "More: .model, .history, .settings, .files"]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the model, as JSON has it."""
        from dataclasses import asdict

        scores = {name: None if score is None else score._asdict() for name, score in self._scores.items()}
        return {
            "problem": self.problem,
            "state": self.state,
            "reason": self.reason,
            "metric": self.metric,
            **scores,
            "best_epoch": self.best_epoch,
            "updates": self.updates,
            "seconds": self.seconds,
            "processes": self.processes,
            "bytes_per_update": self.bytes_per_update,
            "settings": self.settings,
            "files": [str(path) for path in self.files],
            "notes": list(self.notes),
            "history": [asdict(row) for row in self.history],
        }

    def summary(self) -> str:
        """The run in a few lines."""
        rows = self.history
        ended = {"diverged": f"diverged: {self.reason}", "interrupted": "interrupted"}.get(self.state, self.state)
        epochs, updates = rows[-1].epoch, self.updates
        took = f"{epochs} epoch{'s' * (epochs != 1)}, {updates} update{'s' * (updates != 1)}, {self.seconds:.1f} s"
        lines = [f"{self.problem}: {ended} after {took}"]
        for name, score in self._scores.items():
            if score is not None:
                lines.append(f"{name:>5} {self.metric} {score.metric:.4g}  loss {score.loss:.4g}")
        if self.processes > 1:
            lines.append(_exchanged(self.bytes_per_update, self.processes))
        return "\n".join(lines)

    @property
    def _scores(self) -> dict[str, Score | None]:
        return {"valid": self.valid, "test": self.test}


def _exchanged(given: float, processes: int) -> str:
    sent = 2 * (processes - 1) / processes * given
    return (
        f"{processes} processes; each gave {given:,.0f} bytes of gradients an update to be summed, which is "
        f"{sent:,.0f} bytes sent and as many received where they are summed around a ring"
    )
