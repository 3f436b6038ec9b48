"""A strong Wolfe line search over the values and slopes of a function of one number.

It brackets an interval that holds acceptable steps and then zooms into it (Nocedal & Wright 2006, Algorithms 3.5 and
3.6), with steps tried at the minimum of the cubic through two points (their equation 3.59), kept off the interval's
ends. Where the function is finite the steps tried are those of `torch.optim.LBFGS`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...errors import InputError

T = TypeVar("T")
_EPS = 4 * sys.float_info.epsilon
"""The narrowest bracket, relative to its steps."""


@dataclass(frozen=True)
class Point(Generic[T]):
    """A step along a line, the function's value and slope there, and what else the caller wants kept of it."""

    step: float
    value: float
    slope: float
    kept: T

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope)


@dataclass(frozen=True)
class Search(Generic[T]):
    """What a line search found: the best point, whether it meets both conditions, and how often it evaluated.

    A point that does not meet both still has a lower value than the start, by the first condition; where none was
    found, it is the start.
    """

    point: Point[T]
    met: bool
    evaluations: int


@dataclass(frozen=True)
class _Conditions(Generic[T]):
    start: Point[T]
    c1: float
    c2: float

    def lower(self, point: Point[T]) -> bool:
        """Sufficient decrease (Nocedal & Wright, equation 3.7a); never where the function is not finite."""
        return point.finite and point.value <= self.start.value + self.c1 * point.step * self.start.slope

    def flat(self, point: Point[T]) -> bool:
        """The strong curvature condition (equation 3.7b)."""
        return abs(point.slope) <= -self.c2 * self.start.slope


class _Evaluations(Generic[T]):
    """The function, for a limited number of calls; nothing after them."""

    def __init__(self, function: Callable[[float], Point[T]], limit: int) -> None:
        self.function, self.limit, self.count = function, limit, 0

    def __call__(self, step: float) -> Point[T] | None:
        if self.count == self.limit:
            return None
        self.count += 1
        return self.function(step)


def strong_wolfe(
    function: Callable[[float], Point[T]],
    start: Point[T],
    step: float = 1.0,
    *,
    c1: float = 1e-4,
    c2: float = 0.9,
    width: float = 1e-9,
    limit: int = 25,
) -> Search[T]:
    """A step along a descent direction that meets the strong Wolfe conditions.

    `function(step)` gives the point at a step, `start` is the point at step 0, and `step` the first to try. `c1` and
    `c2` are the shares of the start's slope that the conditions ask for. The search ends early where the bracketing
    interval is narrower than `width`, and after `limit` evaluations. Steps at which the function is not finite count
    as too long. Raises `InputError` for a start that does not go down, and for numbers that are not allowed.
    """
    _check(start, step, c1, c2, limit)
    conditions = _Conditions(start, c1, c2)
    evaluate = _Evaluations(function, limit)
    low, high, met = _bracket(evaluate, conditions, step)
    if high is not None:
        low, met = _zoom(evaluate, conditions, low, high, width)
    return Search(low, met, evaluate.count)


def _check(start: Point[T], step: float, c1: float, c2: float, limit: int) -> None:
    if not (start.finite and start.slope < 0):
        raise InputError(f"start of a line search has value {start.value} and slope {start.slope}; allowed: below 0.")
    if not 0 < step < math.inf:
        raise InputError(f"step={step!r} is not allowed for a line search; allowed: more than 0, and finite.")
    if not 0 < c1 < c2 < 1:
        raise InputError(f"c1={c1!r} and c2={c2!r} are not allowed for a line search; allowed: 0 < c1 < c2 < 1.")
    if limit < 1:
        raise InputError(f"limit={limit!r} is not allowed for a line search; allowed: at least 1.")


def _bracket(
    evaluate: _Evaluations[T], conditions: _Conditions[T], step: float
) -> tuple[Point[T], Point[T] | None, bool]:
    """Algorithm 3.5: the ends of an interval that holds acceptable steps, the better first.

    Or a point alone, the best found, and whether it is acceptable itself.
    """
    previous = conditions.start
    while (point := evaluate(step)) is not None:
        if not conditions.lower(point) or (previous.step > 0 and point.value >= previous.value):
            return previous, point, False
        if conditions.flat(point):
            return point, None, True
        if point.slope >= 0:
            return point, previous, False
        step = _cubic_minimum(previous, point, point.step + 0.01 * (point.step - previous.step), 10 * point.step)
        previous = point
    return previous, None, False


def _zoom(
    evaluate: _Evaluations[T], conditions: _Conditions[T], low: Point[T], high: Point[T], width: float
) -> tuple[Point[T], bool]:
    """Algorithm 3.6: an acceptable point between `low` and `high`, or the best found.

    `low` is always the best point that meets the first condition, and its slope points to `high`.
    """
    near_end = False
    while abs(high.step - low.step) > max(width, _EPS * high.step, _EPS * low.step):
        step, near_end = _between(low, high, near_end)
        point = evaluate(step)
        if point is None:
            break
        if not conditions.lower(point) or point.value >= low.value:
            high = point
            continue
        if conditions.flat(point):
            return point, True
        if point.slope * (high.step - low.step) >= 0:
            high = low
        low = point
    return low, False


def _between(low: Point[T], high: Point[T], near_end: bool) -> tuple[float, bool]:
    """The step to try inside a bracket, and whether it is in the tenth of it near an end.

    The second such step in a row, or one at an end, is moved to a tenth from that end, so that the bracket shrinks.
    """
    if not high.finite:
        return low.step + 0.1 * (high.step - low.step), False
    left, right = min(low.step, high.step), max(low.step, high.step)
    step = _cubic_minimum(low, high, left, right)
    tenth = 0.1 * (right - left)
    if min(right - step, step - left) >= tenth:
        return step, False
    if not near_end and left < step < right:
        return step, True
    return (right - tenth if right - step < step - left else left + tenth), False


def _cubic_minimum(a: Point[T], b: Point[T], least: float, most: float) -> float:
    """The minimum of the cubic through two points (equation 3.59) between two bounds; halfway where it has none."""
    if a.step > b.step:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if square >= 0:
        d2 = math.sqrt(square)
        bottom = b.slope - a.slope + 2 * d2
        step = b.step - (b.step - a.step) * ((b.slope + d2 - d1) / bottom) if bottom else math.nan
        if math.isfinite(step):
            return min(max(step, least), most)
    return (least + most) / 2
