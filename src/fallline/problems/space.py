"""The problem's own hyper-parameters: the width of a layer, a dropout share, the strength of an augmentation.

A space says where a search looks, by the name of the keyword argument that takes the value:

    space = {
        "width": whole(16, 256, log=True),
        "activation": choice("relu", "tanh", "leaky"),
        "slope": when(linear(0, 0.5), activation="leaky"),      # exists only where the activation is leaky
    }

Every part of a space has `sample`, from a share of [0, 1] to a value, and `position`, back.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import InputError
from ..rules.hyper import Range

Setting: TypeAlias = float | int | str | bool
"""A value of a hyper-parameter."""


@dataclass(frozen=True)
class Whole:
    """Whole numbers from `low` to `high`, both included, even in the value or in its logarithm."""

    low: int
    high: int
    log: bool = False

    def sample(self, u: float) -> int:
        """The number a share `u` of [0, 1] along the range."""
        if self.log:
            value = math.floor(self.low * math.pow((self.high + 1) / self.low, u))
        else:
            value = self.low + math.floor(u * (self.high + 1 - self.low))
        return min(max(value, self.low), self.high)

    def position(self, value: float) -> float:
        """The share of the range at which the middle of `value`'s part stands."""
        if self.log:
            return math.log((value + 0.5) / self.low) / math.log((self.high + 1) / self.low)
        return (value + 0.5 - self.low) / (self.high + 1 - self.low)

    def __contains__(self, value: Any) -> bool:
        return _is_number(value) and int(value) == value and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"whole numbers from {self.low} to {self.high}" + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Choice:
    """One of a few values: texts, numbers, true or false."""

    values: tuple[Setting, ...]

    def sample(self, u: float) -> Setting:
        """The value a share `u` of [0, 1] along the list."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def position(self, value: Setting) -> float:
        """The share of the list at which the middle of `value`'s part stands."""
        return (self.values.index(value) + 0.5) / len(self.values)

    def __contains__(self, value: Any) -> bool:
        return any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in self.values)

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.values))}"


@dataclass(frozen=True)
class When:
    """A part of a space that exists only where others have one of some values."""

    part: Range | Whole | Choice
    conditions: Mapping[str, tuple[Setting, ...]]

    def holds(self, values: Mapping[str, Setting]) -> bool:
        """Whether all conditions hold; one on a hyper-parameter that does not itself exist never does."""
        return all(name in values and values[name] in Choice(allowed) for name, allowed in self.conditions.items())

    def __str__(self) -> str:
        said = (f"{name} is {' or '.join(map(repr, allowed))}" for name, allowed in self.conditions.items())
        return f"{self.part}, when {' and '.join(said)}"


Part: TypeAlias = Range | Whole | Choice
Space: TypeAlias = Mapping[str, Range | Whole | Choice | When]


def whole(low: int, high: int, *, log: bool = False) -> Whole:
    """Whole numbers from `low` to `high`, both included, searched evenly, or evenly in the logarithm."""
    try:
        low, high = operator.index(low), operator.index(high)
    except TypeError:
        raise InputError(f"whole({low!r}, {high!r}) needs two whole numbers.") from None
    if low >= high or (log and low < 1):
        raise InputError(
            f"whole({low}, {high}{', log=True' if log else ''}) holds nothing to search; give low < high"
            f"{', both from 1 up' if log else ''}."
        )
    return Whole(low, high, log)


def choice(*values: Setting) -> Choice:
    """One of these values, all equally likely."""
    for value in values:
        if not isinstance(value, str | bool | int | float) or value != value:
            raise InputError(f"choice contains {value!r}; allowed are texts, numbers, True and False.")
    if len(set(values)) < 2 or len(set(values)) < len(values):
        raise InputError(f"choice{values!r} must name at least two values, all different.")
    return Choice(values)


def when(part: Range | Whole | Choice, /, **conditions: Setting | Iterable[Setting]) -> When:
    """A hyper-parameter that exists only under conditions: `when(linear(0, 0.5), activation="leaky")`.

    A condition names another of the problem's own hyper-parameters and its value, or several of them in a tuple; all
    conditions must hold. Where they do not, the hyper-parameter is left at its default.
    """
    if not isinstance(part, Part) or not conditions:
        raise InputError("when needs a range or a choice, and at least one condition: when(linear(0, 1), name=value).")
    single = (str, bool, int, float)
    return When(part, {name: (v,) if isinstance(v, single) else tuple(v) for name, v in conditions.items()})


def bare(part: Range | Whole | Choice | When) -> Range | Whole | Choice:
    """The range or choice itself, without its conditions."""
    return part.part if isinstance(part, When) else part


def existing(space: Space, values: Mapping[str, Setting]) -> dict[str, Setting]:
    """Those of the values whose hyper-parameter exists beside the others, in the order of the space."""
    found: dict[str, Setting] = {}
    for name, part in space.items():
        if name in values and (not isinstance(part, When) or part.holds(found)):
            found[name] = values[name]
    return found


def checked_space(space: Any) -> dict[str, Range | Whole | Choice | When]:
    """The space, its conditions after what they refer to. Raises `InputError` for what is none."""
    if space is None:
        return {}
    if not isinstance(space, Mapping):
        raise InputError(f"space must be a mapping from names to ranges; it is a {type(space).__name__}.")
    for name, part in space.items():
        if not isinstance(part, Part | When):
            raise InputError(
                f"space[{name!r}] is {part!r}; allowed are linear(low, high), log(low, high), whole(low, high), "
                "choice(value, value, ...) and when(..., name=value), all from fallline.problems."
            )
        inner = bare(part)
        if isinstance(inner, Range) and not (math.isfinite(inner.low) and inner.low < inner.high < math.inf):
            raise InputError(f"space[{name!r}] holds nothing to search: {inner}.")
        if isinstance(inner, Range) and inner.scale == "log" and inner.low <= 0:
            raise InputError(f"space[{name!r}] is even in the logarithm and must start above 0: {inner}.")
    return _in_order(space)


def _in_order(space: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions after the hyper-parameters that they refer to."""
    ordered = {name: part for name, part in space.items() if not isinstance(part, When)}
    waiting = {name: part for name, part in space.items() if isinstance(part, When)}
    for name, part in waiting.items():
        for other, allowed in part.conditions.items():
            if other not in space or other == name:
                known = ", ".join(n for n in space if n != name)
                raise InputError(f"space[{name!r}] depends on {other!r}, which is not in the space ({known}).")
            wrong = [v for v in allowed if not _allows(bare(space[other]), v)]
            if wrong or not allowed:
                raise InputError(
                    f"space[{name!r}] asks for {other}={wrong[0] if wrong else ()!r}; it is {space[other]}."
                )
    while waiting:
        ready = [name for name, part in waiting.items() if part.conditions.keys() <= ordered.keys()]
        if not ready:
            raise InputError(f"the conditions of {', '.join(waiting)} in space depend on one another in a circle.")
        ordered |= {name: waiting.pop(name) for name in ready}
    return ordered


def allowed_value(name: str, part: Range | Whole | Choice | When, value: Any, default: Setting) -> Setting:
    """The value as it enters a trial: one that the space allows, or the default. Raises `InputError` for others."""
    inner = bare(part)
    if not _allows(inner, value) and not (type(value) is type(default) and value == default):
        raise InputError(f"{name}={value!r} is not allowed; allowed: {inner}.")
    if isinstance(inner, Choice):
        return next((v for v in inner.values if value in Choice((v,))), default)
    return int(value) if isinstance(inner, Whole) else float(value)


def _allows(part: Range | Whole | Choice, value: Any) -> bool:
    if isinstance(part, Range):
        slack = 1e-9 * (part.high - part.low)  # a logarithm's there and back
        return _is_number(value) and part.low - slack <= value <= part.high + slack
    return value in part


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def describe(space: Space, defaults: Mapping[str, Setting]) -> tuple[dict[str, Any], ...]:
    """The space as plain values, for the record: one mapping for each name, in order."""
    return tuple(_described(name, part, defaults[name]) for name, part in space.items())


def restore(described: Iterable[Mapping[str, Any]]) -> dict[str, Range | Whole | Choice | When]:
    """The space that was described."""
    return {said["name"]: _restored(said) for said in described}


def _described(name: str, part: Range | Whole | Choice | When, default: Setting) -> dict[str, Any]:
    inner = bare(part)
    conditions = part.conditions if isinstance(part, When) else {}
    said: dict[str, Any] = {"name": name, "default": default, "when": {n: list(v) for n, v in conditions.items()}}
    if isinstance(inner, Choice):
        return said | {"type": "choice", "values": list(inner.values)}
    if isinstance(inner, Whole):
        return said | {"type": "whole", "low": inner.low, "high": inner.high, "scale": "log" if inner.log else "linear"}
    return said | {"type": "range", "low": inner.low, "high": inner.high, "scale": inner.scale}


def _restored(said: Mapping[str, Any]) -> Range | Whole | Choice | When:
    part: Range | Whole | Choice
    if said["type"] == "choice":
        part = Choice(tuple(said["values"]))
    elif said["type"] == "whole":
        part = Whole(said["low"], said["high"], said["scale"] == "log")
    else:
        part = Range(said["low"], said["high"], said["scale"])
    return When(part, {name: tuple(v) for name, v in said["when"].items()}) if said["when"] else part
