"""How long something takes in a run: a share of it, a number of updates, a number of epochs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError, unknown
from ..reader import Reader

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
        if not math.isfinite(self.number) or self.number < 0 or (self.unit == "%" and self.number > 100):
            allowed = "shares from 0% to 100%" if self.unit == "%" else f"finite numbers of {self.unit} from 0 on"
            raise InputError(f"a length of {self} is not allowed; allowed are {allowed}.")
        if self.unit == "updates" and self.number != round(self.number):
            share = f"; write {100 * self.number:g}% for a share of the run" if self.number < 1 else ""
            raise InputError(f"a length of {self.number:g} steps is not allowed: steps are whole{share}.")

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


def amount(reader: Reader) -> tuple[float, str | None]:
    """A number, and the unit behind it where there is one. Raises `InputError` for a unit that there is not."""
    number = float(reader.take("number", "a number"))
    if reader.took("%"):
        return number, "%"
    if reader.now.kind != "name":
        return number, None
    unit = reader.take("name", "a unit")
    if unit not in UNITS:
        raise unknown("unit", unit, ["%", "epochs", "steps"])
    return number, unit
