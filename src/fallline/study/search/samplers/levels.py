"""The levels of a grid: as many points as a budget allows, spread over the hyper-parameters."""

from __future__ import annotations

import math
from typing import Any

from ....problems.space import Choice, Part, bare
from ....rules.hyper import Range
from ..space import Space


def levels(space: Space, budget: int) -> dict[str, list[Any]]:
    """The levels of every hyper-parameter, as Optuna is asked for them.

    Levels are added one at a time to the hyper-parameter that has fewest, the first one named first, while the grid
    stays within the budget. They are the middles of equal parts of the range.
    """
    parts = {name: bare(part) for name, part in space.parts.items()}
    counts = dict.fromkeys(parts, 1)
    while True:
        size = math.prod(counts.values())
        room = [n for n, c in counts.items() if c < _most(parts[n]) and size // c * (c + 1) <= budget]
        if not room:
            return {name: _levels(part, counts[name]) for name, part in parts.items()}
        counts[min(room, key=lambda name: counts[name])] += 1


def _levels(part: Part, count: int) -> list[Any]:
    shares = [(i + 0.5) / count for i in range(count)]
    return shares if isinstance(part, Range) else list(dict.fromkeys(part.sample(share) for share in shares))


def _most(part: Part) -> float:
    if isinstance(part, Range):
        return math.inf
    return len(part.values) if isinstance(part, Choice) else part.high - part.low + 1
