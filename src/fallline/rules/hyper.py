"""A hyper-parameter's whole story, told once in the annotation beside its default.

`lr: Rate = 1e-3` says three things: the default, which values are allowed, and where a search should look. The names
below are `Annotated[float, ...]` types; a rule with other needs writes its own, for instance
`lr: Annotated[float, at_least(0), log(1e-3, 10)] = 1e-2`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from ..errors import InputError


@dataclass(frozen=True)
class Interval:
    """The values a hyper-parameter may take: from `low` (allowed) to `high` (allowed when `closed`), all or `whole`."""

    low: float = -math.inf
    high: float = math.inf
    closed: bool = True
    whole: bool = False

    def __contains__(self, value: float) -> bool:
        if self.whole and value != round(value):
            return False
        return self.low <= value and (value <= self.high if self.closed else value < self.high)

    def __str__(self) -> str:
        kind = "a whole number, " if self.whole else ""
        if self.low == -math.inf:
            return kind + ("any finite number" if self.high == math.inf else f"at most {self.high:g}")
        if self.high == math.inf:
            return f"{kind}at least {self.low:g}"
        return f"{kind}from {self.low:g} to {self.high:g}" + ("" if self.closed else f", {self.high:g} excluded")


@dataclass(frozen=True)
class Range:
    """Where a search looks: between `low` and `high`, even on `scale`.

    `one_minus_log` is for decay rates: `1 - value` is even on a log scale, so 0.9, 0.99, 0.999 are equally far apart.
    """

    low: float
    high: float
    scale: str = "linear"

    def sample(self, u: float) -> float:
        """The value a share `u` of [0, 1] along the range."""
        return _FROM_AXIS[self.scale]((1 - u) * self._axis(self.low) + u * self._axis(self.high))

    def position(self, value: float) -> float:
        """The share of the range at which `value` stands; the inverse of `sample`."""
        low, high = self._axis(self.low), self._axis(self.high)
        return (self._axis(value) - low) / (high - low)

    def _axis(self, value: float) -> float:
        return _TO_AXIS[self.scale](value)

    def __str__(self) -> str:
        note = {"log": " (log)", "linear": "", "one_minus_log": " (1 - value on a log scale)"}[self.scale]
        return f"{self.low:g} to {self.high:g}{note}"


_Axis = Callable[[float], float]
_TO_AXIS: dict[str, _Axis] = {
    "linear": lambda value: value,
    "log": math.log,
    "one_minus_log": lambda value: -math.log(1 - value),
}
_FROM_AXIS: dict[str, _Axis] = {
    "linear": lambda axis: axis,
    "log": math.exp,
    "one_minus_log": lambda axis: 1 - math.exp(-axis),
}


def at_least(low: float) -> Interval:
    """Every finite value from `low` up."""
    return Interval(low)


def at_most(high: float) -> Interval:
    """Every finite value up to `high`."""
    return Interval(high=high)


def whole(low: int) -> Interval:
    """Every whole number from `low` up: a count, a length, a number of steps."""
    return Interval(low, whole=True)


def between(low: float, high: float, closed: bool = True) -> Interval:
    """Every value from `low` to `high`, the latter included when `closed`."""
    return Interval(low, high, closed)


def log(low: float, high: float) -> Range:
    """A search range, even in the logarithm."""
    return Range(low, high, "log")


def linear(low: float, high: float) -> Range:
    """A search range, even in the value."""
    return Range(low, high, "linear")


def one_minus_log(low: float, high: float) -> Range:
    """A search range for a decay rate, even in the logarithm of `1 - value`."""
    return Range(low, high, "one_minus_log")


Rate = Annotated[float, at_least(0), log(1e-5, 1e-1)]
SgdRate = Annotated[float, at_least(0), log(1e-3, 10)]
SignRate = Annotated[float, at_least(0), log(1e-6, 1e-2)]
Beta1 = Annotated[float, between(0, 1, closed=False), one_minus_log(0.5, 0.99)]
Beta2 = Annotated[float, between(0, 1, closed=False), one_minus_log(0.9, 0.9999)]
Momentum = Annotated[float, at_least(0), one_minus_log(0.5, 0.99)]
WeightDecay = Annotated[float, at_least(0), log(1e-5, 1)]
Penalty = Annotated[float, at_least(0), log(1e-7, 1e-2)]
Epsilon = Annotated[float, at_least(0)]
Fixed = Annotated[float, at_least(0)]
Count = Annotated[float, whole(1)]
Seed = Annotated[float, whole(0)]
Switch = Annotated[float, Interval(0, 1, whole=True)]


@dataclass(frozen=True)
class Hyper:
    """One hyper-parameter of a rule: its default, the values allowed, and where a search looks (None: it does not)."""

    name: str
    default: float
    allowed: Interval = field(default_factory=Interval)
    search: Range | None = None

    def check(self, value: Any, of: str) -> float:
        """The value as a float; raises `InputError` when it is no number or is not allowed."""
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"{self.name}={value!r} of {of} is not a number; allowed: {self.allowed}.") from None
        if not math.isfinite(number) or number not in self.allowed:
            raise InputError(f"{self.name}={number:g} is not allowed for {of}; allowed: {self.allowed}.")
        return number


def read_hyper(name: str, default: float, notes: Iterable[Any]) -> Hyper:
    """A hyper-parameter from its annotation, or, where there is none, from what the field means by its name."""
    said = [note for note in notes if isinstance(note, Interval | Range)]
    meant = _conventional(name, default)
    allowed = next((n for n in (*said, *meant) if isinstance(n, Interval)), Interval())
    # what is annotated with an interval alone is not to be searched
    search = next((n for n in said or meant if isinstance(n, Range)), None)
    return Hyper(name, float(default), allowed, search)


def _conventional(name: str, default: float) -> list[Any]:
    if name == "lr":
        return [at_least(0), log(default / 100, default * 100)] if default > 0 else [at_least(0)]
    meanings: dict[str, Any] = {"beta1": Beta1, "momentum": Momentum, "weight_decay": WeightDecay, "eps": Epsilon}
    annotated = meanings.get(name, Beta2 if name.startswith("beta") else None)
    return list(annotated.__metadata__) if annotated is not None else []
