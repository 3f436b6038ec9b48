"""How long something takes in a run: a share of it, a number of updates, a number of epochs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError

Unit = Literal["%", "updates", "epochs"]
_UNITS: dict[str, Unit] = {
    "%": "%",
    "": "updates",
    "step": "updates",
    "steps": "updates",
    "epoch": "epochs",
    "epochs": "epochs",
}
UNITS = frozenset(_UNITS)
"""The words that may follow a number."""


@dataclass(frozen=True)
class Run:
    """The length of a run: `updates` in all, and in an `epoch` where that is known.

    Where the batch grows, updates are those that the initial batch size would take: progress is in data seen, so that
    a schedule ends when the data do.
    """

    updates: float
    epoch: float | None = None


@dataclass(frozen=True)
class Length:
    """A length of training, as `5%` (of the whole run), `500` or `500 steps` (updates), or `2 epochs`."""

    number: float
    unit: Unit = "updates"

    def __post_init__(self) -> None:
        if self.unit == "updates" and (self.number != round(self.number) or self.number < 1):
            share = f"; write {100 * self.number:g}% for a share of the run" if 0 < self.number < 1 else ""
            raise InputError(f"a length of {self.number:g} steps is not allowed: steps are whole, at least 1{share}.")
        if self.number <= 0 or (self.unit == "%" and self.number > 100):
            allowed = "above 0% and at most 100%" if self.unit == "%" else "above 0 epochs"
            raise InputError(f"a length of {self} is not allowed; allowed: {allowed}.")

    @classmethod
    def of(cls, text: str) -> Length:
        """From its text."""
        number = re.match(r"[0-9.]+", text)
        assert number is not None
        return cls.measured(float(number[0]), text[number.end() :].strip())

    @classmethod
    def measured(cls, number: float, unit: str) -> Length:
        """So many of a unit, by one of its names in `UNITS`."""
        return cls(number, _UNITS[unit])

    def updates(self, run: Run) -> float:
        """In updates. Raises `InputError` for epochs where it is not known how long one is."""
        if self.unit == "updates":
            return self.number
        if self.unit == "%":
            return round(self.number * run.updates / 100, 9)
        if run.epoch is None:
            raise InputError(f"a length of {self} is not allowed here: say how many updates an epoch has (epoch=).")
        return round(self.number * run.epoch, 9)

    def __str__(self) -> str:
        number = f"{self.number:.15g}"
        if self.unit == "%":
            return f"{number}%"
        return number if self.unit == "updates" else f"{number} epoch{'' if self.number == 1 else 's'}"
