"""A schedule's definition, read from its function: parameters, bounds, the quantities that it sets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, SupportsIndex, get_type_hints

from ..errors import InputError, unknown
from .length import Length

QUANTITIES = ("lr", "momentum", "weight_decay", "batch_size")
"""What can be scheduled; `momentum` is `beta1` in rules that call it so."""


class Absolute(float):
    """A value that a schedule sets itself, in place of a factor of the value that the user gave."""


@dataclass(frozen=True)
class Bounds:
    """The numbers allowed: from `low` (excluded when `above`) to `high`."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    whole: bool = False

    def __contains__(self, number: float) -> bool:
        if self.whole and number != round(number):
            return False
        return (self.low < number if self.above else self.low <= number) and number <= self.high

    def __str__(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        low = f"above {self.low:g}" if self.above else f"of at least {self.low:g}"
        return f"{kind} {low}" + ("" if self.high == math.inf else f" and at most {self.high:g}")


_ANY = Bounds(low=-math.inf)
_LENGTH = "length"

Updates = Annotated[float, _LENGTH]
"""A length of training, which a text gives as `5%`, `500` or `2 epochs` and the function gets in updates."""
Factor = Annotated[float, Bounds()]
Positive = Annotated[float, Bounds(above=True)]
Share = Annotated[float, Bounds(high=1.0)]
AtLeastOne = Annotated[float, Bounds(low=1.0)]
Count = Annotated[int, Bounds(whole=True)]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a schedule. Several lengths in a row are `several`; no default means that it is needed."""

    name: str
    kind: Literal["length", "number"]
    default: Length | float | None = None
    bounds: Bounds = Bounds()
    several: bool = False


@dataclass(frozen=True, eq=False)
class Schedule:
    """A function of progress under a name, as `@schedule` makes it; called, it is the function.

    `sets` are the quantities that it returns values for, in order. `watches` says that its third argument is the list
    of validation losses seen so far.
    """

    name: str
    function: Callable[..., Any]
    sets: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    paper: str
    summary: str
    watches: bool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The factor, or the factors in the order of `sets`, `at` updates into a stage of `steps`."""
        return self.function(*args, **kwargs)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Those of Fallline are sent to another process by name, those of the user with their function."""
        if self.function.__module__.startswith(f"{__package__}."):
            return get, (self.name,)
        return super().__reduce_ex__(protocol)

    @property
    def order(self) -> tuple[Parameter, ...]:
        """The parameters as a text gives them: the stage's own length first, unless others say how long things take."""
        own = Parameter("length", "length")
        timed = any(parameter.kind == "length" for parameter in self.parameters)
        return (*self.parameters, own) if timed else (own, *self.parameters)

    @property
    def call(self) -> str:
        """How it is written, with its defaults."""
        said = []
        for parameter in self.order:
            default = parameter.default
            text = f"{default:g}" if isinstance(default, int | float) else str(default)
            name = f"{parameter.name}, ..." if parameter.several else parameter.name
            said.append(name if default is None else f"{name}={text}")
        return f"{self.name}({', '.join(said)})"


REGISTRY: dict[str, Schedule] = {}


def schedule(
    *, paper: str, sets: tuple[str, ...] = ("lr",), lengths: Mapping[str, str] | None = None, watches: bool = False
) -> Callable[[Callable[..., Any]], Schedule]:
    """Make a schedule of a function `f(at, steps, ...)` and register it by its name.

    `at` counts the updates taken in the stage, from 0; `steps` is the stage's length. The function returns the factor
    of the value that the user gave (or an `Absolute` value), one for each of `sets`. Further parameters are lengths
    (`Updates`), with defaults in `lengths`, or numbers within the bounds of their annotation.
    """

    def make(function: Callable[..., Any]) -> Schedule:
        name = function.__name__
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        made = Schedule(name, function, sets, _parameters(function, lengths or {}, watches), paper, summary, watches)
        REGISTRY[name] = made
        return made

    return make


def get(name: str) -> Schedule:
    """The schedule of this name. Raises `InputError` with the nearest names where there is none."""
    if name not in REGISTRY:
        raise unknown("schedule", name, REGISTRY)
    return REGISTRY[name]


def check_number(of: Schedule, parameter: Parameter, number: float) -> float:
    """The number. Raises `InputError` where the parameter does not allow it."""
    if not math.isfinite(number) or number not in parameter.bounds:
        raise InputError(f"{parameter.name}={number:g} is not allowed for {of.name}; allowed: {parameter.bounds}.")
    return number


def _parameters(function: Callable[..., Any], lengths: Mapping[str, str], watches: bool) -> tuple[Parameter, ...]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for given in list(inspect.signature(function).parameters.values())[3 if watches else 2 :]:
        (note,) = getattr(hints.get(given.name), "__metadata__", (_ANY,))  # a user's plain float, or nothing
        if note == _LENGTH:
            default = Length.of(lengths[given.name]) if given.name in lengths else None
            several = given.kind is inspect.Parameter.VAR_POSITIONAL
            found.append(Parameter(given.name, "length", default, several=several))
        else:
            number = None if given.default is inspect.Parameter.empty else float(given.default)
            found.append(Parameter(given.name, "number", number, note))
    return tuple(found)
