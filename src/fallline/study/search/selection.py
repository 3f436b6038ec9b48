"""Which trials of a bracket go on at a rung."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...training import Point
from ..plan import digest
from .pruners import Bracket

Curve = Sequence[Point]


@dataclass(frozen=True)
class Selection:
    """Selects, at each rung, among the trials of each rule.

    `places` are rule and number of the trials of a call. `ended` holds the curves of those that ended in an earlier
    process, by rule and number: at the rungs that they reached they compete as they did then, so that the same trials
    go on.
    """

    bracket: Bracket
    places: Sequence[tuple[str, int]]
    maximize: bool
    ended: Mapping[tuple[str, int], Curve]

    def survivors(self, epoch: int, curves: Mapping[int, Curve]) -> set[int]:
        """Those of the trials in training that go on after the epoch: best metric first, then loss, then number."""
        keep = self.bracket.alive[self.bracket.rungs.index(epoch) + 1]
        running = {self.places[index]: curve for index, curve in curves.items()}
        ranked = sorted(self._at(epoch, {**self.ended, **running}))
        stay: set[tuple[str, int]] = set()
        for rule in {rule for rule, _ in running}:
            stay.update([(rule, number) for *_, of, number in ranked if of == rule][:keep])
        return {index for index in curves if self.places[index] in stay}

    def _at(self, epoch: int, curves: Mapping[tuple[str, int], Curve]) -> list[tuple[float, float, str, int]]:
        """Those that reached the epoch, in a form that sorts the best first."""
        sign = -1 if self.maximize else 1
        return [
            (_last_if_nan(sign * point.valid_metric), _last_if_nan(point.valid_loss), rule, number)
            for (rule, number), curve in curves.items()
            for point in curve
            if point.epoch == epoch
        ]


def bracket_name(bracket: Bracket, keys: Sequence[str]) -> str:
    """What the outcome of a trial depends on beside the trial where it competes with others; "" where it does not."""
    return digest([sorted(keys), bracket.rungs, bracket.eta]) if bracket.rungs else ""


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value
