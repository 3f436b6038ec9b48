"""Hyper-parameters as axes: where each value of a trial stands in the range that was searched."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...problems.space import Choice, Part, When, bare, restore
from ...rules import Rule

if TYPE_CHECKING:
    from ...problems import Setting
    from ..result import TrialRecord


@dataclass(frozen=True)
class Axis:
    """A searched hyper-parameter: its range or choice, its default, and whether it is the problem's own.

    One with a condition exists only in trials whose other values meet it.
    """

    name: str
    part: Part
    default: Setting
    own: bool = False
    when: When | None = None

    @property
    def categories(self) -> tuple[Setting, ...]:
        """The values of a choice; empty for a range."""
        return self.part.values if isinstance(self.part, Choice) else ()

    def category(self, place: float) -> int:
        """The number of the category that stands at a position."""
        return min(int(place * len(self.categories)), len(self.categories) - 1)

    def value(self, trial: TrialRecord) -> Setting | None:
        """The trial's value; None where the hyper-parameter does not exist for it."""
        if self.when is not None and not self.when.holds(trial.own):
            return None
        return (trial.own if self.own else trial.settings).get(self.name)

    def position(self, value: Any) -> float | None:
        """The share of the range at which a value stands; None where it has no place (zero on a log axis)."""
        try:
            at = float(self.part.position(value))
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None
        return at if math.isfinite(at) else None

    def place(self, trial: TrialRecord) -> float:
        """Where a trial stands, in [0, 1]; at a random place where the hyper-parameter does not exist for it.

        There it has no effect, which is what a random place shows to whoever looks for one.
        """
        value = self.value(trial)
        at = None if value is None else self.position(value)
        return random.Random(f"{self.name} {trial.number}").random() if at is None else min(max(at, 0.0), 1.0)


def axes(rule: Rule, own: Iterable[Mapping[str, Any]] = ()) -> tuple[Axis, ...]:
    """The axes of a rule's search: its hyper-parameters, then the problem's (as `problems.space.describe` has them)."""
    described = tuple(own)
    defaults = {said["name"]: said["default"] for said in described}
    return (
        *(Axis(name, space, rule.defaults[name]) for name, space in rule.space.items()),
        *(
            Axis(name, bare(part), defaults[name], own=True, when=part if isinstance(part, When) else None)
            for name, part in restore(described).items()
        ),
    )
