"""One sweep of a learning-rate range test: its loss, smoothed as it comes, and the rates that the curve shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MEMORY = 0.6
"""Decades of the rate over which the smoothing forgets (to 1/e): longer sweeps are then read like shorter ones."""
_BEYOND = 3
"""A sweep ends when its loss is this many times its minimum, or its fall if that is more, above the minimum."""


@dataclass(frozen=True)
class Sweep:
    """The sweep of one seed. `losses[k]` is the batch loss before the step at the k-th rate; it may end early.

    `minimum` is the rate at which the smoothed loss is lowest, `steepest` the one at which it falls fastest per decade,
    `diverges` the one from which on it has lost half of what it had gained (None: not within the sweep). All are None
    where the loss did not fall by more than it scatters. `at_end` says that it was still falling at the last rate.
    """

    seed: int
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    minimum: float | None = None
    steepest: float | None = None
    diverges: float | None = None
    at_end: bool = False


class Follower:
    """Keeps the losses of one sweep and smooths them as they come, with the start's bias corrected.

    The smoothing is Adam's average: `avg_k = beta avg_{k-1} + (1 - beta) loss_k`, divided by `1 - beta^k` (Gugger 2018,
    "How do you find a good learning rate"), with beta from the density of the rates. The first `warm` averages are of
    few losses.
    """

    def __init__(self, rates: Sequence[float]) -> None:
        memory = MEMORY * (len(rates) - 1) / math.log10(rates[-1] / rates[0])
        self.warm = math.ceil(memory)
        self._beta = math.exp(-1 / memory)
        self._average = 0.0
        self._best = math.inf
        self.ended = False
        self.losses: list[float] = []
        self.smoothed: list[float] = []

    def add(self, loss: float) -> bool:
        """Take the next loss; whether the sweep should end: the loss is no number or far above its minimum."""
        if not math.isfinite(loss):
            self.ended = True
            return True
        self.losses.append(loss)
        self._average = self._beta * self._average + (1 - self._beta) * loss
        value = self._average / (1 - self._beta ** len(self.losses))
        self.smoothed.append(value)
        self._best = min(self._best, value)
        self.ended = value > self._best + _BEYOND * max(abs(self._best), self.smoothed[0] - self._best)
        return self.ended


def read(seed: int, rates: Sequence[float], follower: Follower, interrupted: bool = False) -> Sweep:
    """The rates that a sweep's curve shows, from where the average is one of enough losses to be trusted.

    A sweep that was interrupted shows its minimum only if the loss had come up again since.
    """
    losses, smoothed, warm = np.array(follower.losses), np.array(follower.smoothed), follower.warm
    plain = Sweep(seed, tuple(follower.losses), tuple(follower.smoothed))
    if len(smoothed) < warm + 3:
        return plain
    lowest = warm + int(smoothed[warm:].argmin())
    fall = float(smoothed[warm] - smoothed[lowest])
    scatter = float((losses - smoothed)[: lowest + 1].std())
    if lowest == warm or fall <= scatter:
        return plain
    slopes = np.gradient(smoothed[warm : lowest + 1], np.log10(rates[warm : lowest + 1]))
    back = np.flatnonzero(smoothed[lowest:] > smoothed[lowest] + fall / 2)
    cut = interrupted and not follower.ended and len(smoothed) < len(rates)
    if cut and not len(back):
        return plain
    at_end = len(smoothed) == len(rates)
    return Sweep(
        seed,
        plain.losses,
        plain.smoothed,
        minimum=float(rates[lowest]),
        steepest=float(rates[warm + int(slopes.argmin())]),
        diverges=float(rates[lowest + back[0]]) if len(back) else None if at_end else float(rates[len(smoothed)]),
        at_end=lowest == len(rates) - 1,
    )
