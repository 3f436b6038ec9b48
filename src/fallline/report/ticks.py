"""Labels along the axis of a hyper-parameter, whose positions are shares of the searched range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..problems.space import Choice, Whole
from ..study.findings.numbers import brief

if TYPE_CHECKING:
    from ..study.findings.axes import Axis


def ticks(axis: Axis) -> list[tuple[float, str]]:
    """Round values along the range with their positions, few enough to stand side by side; of a choice all values."""
    if axis.categories:
        return [((i + 0.5) / len(axis.categories), _cut(str(value))) for i, value in enumerate(axis.categories)]
    placed = [(axis.position(value), text) for value, text in _values(axis)]
    return [(at, text) for at, text in placed if at is not None]


def _cut(text: str) -> str:
    return text if len(text) <= 12 else f"{text[:11]}…"


def _values(axis: Axis) -> list[tuple[float, str]]:
    part = axis.part
    assert not isinstance(part, Choice)
    if isinstance(part, Whole):
        return [(value, str(value)) for value in _whole(part)]
    low, high = part.low, part.high
    if part.scale == "log":
        decades = _decades(low, high)
        ends = [(low, brief(low)), (high, brief(high))]
        return [(10.0**k, brief(10.0**k)) for k in decades] if len(decades) > 1 else ends
    if part.scale == "one_minus_log":
        near = [(1 - 10.0**k, f"{1 - 10.0**k:.{max(-k, 1)}f}") for k in _decades(1 - high, 1 - low)]
        return [(low, f"{low:g}"), *near] if len(near) < 3 else near
    return [(low + (high - low) * k / 4, f"{low + (high - low) * k / 4:.3g}") for k in (0, 2, 4)]


def _whole(part: Whole) -> list[int]:
    count = part.high - part.low + 1
    if count <= 5:
        return list(range(part.low, part.high + 1))
    return list(dict.fromkeys([part.low, part.sample(0.5), part.high]))


def _decades(low: float, high: float) -> list[int]:
    first, last = math.ceil(math.log10(low) - 1e-6), math.floor(math.log10(high) + 1e-6)
    return list(range(first, last + 1, max((last - first) // 4 + 1, 1)))
