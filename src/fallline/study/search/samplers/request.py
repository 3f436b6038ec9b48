"""What a sampler is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....problems import Setting
from ..space import Space


@dataclass(frozen=True)
class Tried:
    """Settings that were tried, and how good they are: the higher, the better, always finite."""

    values: Mapping[str, Setting]
    score: float


@dataclass(frozen=True)
class Request:
    """A request for `count` settings, after the batches in `history`. `budget` is that of the whole search."""

    space: Space
    history: Sequence[Sequence[Tried]]
    count: int
    budget: int
    seed: int

    @property
    def number(self) -> int:
        """How many settings were asked for before."""
        return sum(map(len, self.history))
