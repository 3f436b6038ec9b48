"""Curves over seeds, as the pictures draw them: the mean and the band that the seeds span."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..study.result import TrialRecord
    from ..training import Point


@dataclass(frozen=True)
class Series:
    """A curve over epochs: mean, lowest and highest of the seeds that are alive at each epoch."""

    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    def late(self, higher_is_better: bool) -> list[float]:
        """What an axis should show well: the second half of the mean, and the band on its better side."""
        half = len(self.epochs) // 2
        return self.mean[half:] + (self.high if higher_is_better else self.low)[half:]


def series(records: Sequence[TrialRecord], value: Callable[[Point], float | None]) -> Series:
    """The curve of `value` over the records' seeds, up to the epoch by which half of the seeds are lost."""
    by_epoch: dict[int, list[float]] = {}
    for record in records:
        for point in record.curve:
            number = value(point)
            if number is not None and math.isfinite(number):
                by_epoch.setdefault(point.epoch, []).append(number)
    kept = sorted(epoch for epoch, numbers in by_epoch.items() if 2 * len(numbers) > len(records))
    groups = [by_epoch[epoch] for epoch in kept]
    return Series(kept, [sum(g) / len(g) for g in groups], [min(g) for g in groups], [max(g) for g in groups])
