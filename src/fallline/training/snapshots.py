"""Weights of trials taken on the way, between two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Weights = dict[str, Tensor]
"""Parameters and buffers by name, one that is used twice once."""


@dataclass(frozen=True)
class Snapshots:
    """After so many updates as one of `steps`, `take(index, step, weights)` is given a copy of a trial's weights.

    `index` is the trial's place among all, and the weights are those that it is evaluated at. What goes on from a
    checkpoint may give again what it gave before. A loss that is not finite may not have been seen yet, so the weights
    of a trial that is about to diverge are given too.
    """

    steps: frozenset[int]
    take: Callable[[int, int, Weights], None]
