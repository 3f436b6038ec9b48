"""The kinds of average: one decorated function each, which gives the name and the arguments of its text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import InputError, unknown
from ..reader import Reader, bound, like, written
from ..schedules.length import Length, Run, amount

_WHOLE, _LAST_QUARTER, _HUNDREDTH, _ONE = Length(0, "%"), Length(75, "%"), Length(1, "%"), Length(1)
_EXAMPLE = 'such as "ema(0.999)"'


@dataclass(frozen=True)
class Kind:
    """An average as a value: `average <- keep(n) average + (1 - keep(n)) weights` when n iterates are in it.

    Iterates count from `start` on, one in `every`, so that the last one of the run does. `str()` is its text.
    """

    text: str
    keep: Callable[[int], float]
    start: Length = _WHOLE
    every: Length = _ONE

    def __str__(self) -> str:
        return self.text

    def counts(self, step: int, steps: int, epoch: float | None = None) -> bool:
        """Whether the weights after update `step` (from 0) of `steps` are averaged; an `epoch` has so many updates.

        Raises `InputError` where `step` is not in the run, where the average would begin after its end, and for lengths
        in epochs where it is not known how long one is.
        """
        if not 0 <= step < steps:
            raise InputError(f"step={step} is not in a run of {steps} steps; steps count from 0.")
        run = Run(steps, epoch)
        first, every = round(self.start.updates(run)), max(1, round(self.every.updates(run)))
        if first >= steps:
            raise InputError(f"{self.text} begins at step {first}, but the run ends after {steps}.")
        return step >= first and (steps - 1 - step) % every == 0


KINDS: dict[str, Callable[..., Kind]] = {}


def kind(function: Callable[..., Kind]) -> Callable[..., Kind]:
    """Make a function a kind of average: its keyword arguments are those of the text."""
    KINDS[function.__name__] = function
    return function


def names() -> list[str]:
    """The names of all kinds."""
    return sorted(KINDS)


@kind
def ema(decay: float = 0.999, debias: bool = True) -> Kind:
    """Exponential weights, after every step: `average <- decay average + (1 - decay) weights`.

    With `debias` an iterate that is k steps old has a weight in proportion to `decay**k` from the beginning (as in
    Kingma & Ba 2015, section 3), so that short runs are averaged rightly too. Without it, the first iterate stands for
    all that were before: this is `torch.optim.swa_utils.get_ema_multi_avg_fn`.
    """
    if not 0 <= decay < 1:
        raise InputError(f"decay={decay:g} is not allowed for ema; it must be at least 0 and below 1.")
    text = f"ema({decay:g})" if debias else f"ema({decay:g}, debias=off)"
    return Kind(text, partial(_debiased, decay) if debias else partial(_constant, decay))


@kind
def polyak(start: Length = _WHOLE) -> Kind:
    """Equal weights of all iterates from `start` on.

    Polyak & Juditsky 1992, SIAM Journal on Control and Optimization 30(4), from the first iterate on; with a later
    `start` the suffix average of Rakhlin, Shamir & Sridharan 2012, arXiv:1109.5647.
    """
    text = f"polyak(start={start})" if start.number else "polyak"
    return Kind(text, _equal, _begins(start, "polyak"))


@kind
def swa(start: Length = _LAST_QUARTER, every: Length = _HUNDREDTH) -> Kind:
    """Stochastic weight averaging: equal weights of the iterates at every so many steps, from `start` on.

    Izmailov et al. 2018, arXiv:1803.05407, Algorithm 1, with c = `every`. There c is an epoch at a constant rate
    (`every=1 epoch`), or a cycle of the rate; a share of the run makes short runs average as many iterates as long
    ones.
    """
    if not every.number:
        raise InputError(f"every={every} is not allowed for swa; it must be above 0.")
    return Kind(f"swa(start={start}, every={every})", _equal, _begins(start, "swa"), every)


def parse(text: str | Kind) -> Kind:
    """The average that a text names: `"ema"`, `"ema(0.99)"`, `"polyak(start=50%)"`, `"swa(start=75%, every=1 epoch)"`.

    Lengths are those of schedules: shares of the run (`5%`), updates (`500`) or epochs (`2 epochs`). Raises
    `InputError`, with the nearest names, for anything else.
    """
    if isinstance(text, Kind):
        return text
    if not isinstance(text, str):
        raise InputError(f"average must be a text, {_EXAMPLE}; it is a {type(text).__name__}.")
    reader = Reader(text, "average")
    name = reader.take("name", f"the name of an average, {_EXAMPLE},")
    if name not in KINDS:
        raise unknown("average", name, KINDS)
    defaults = {key: each.default for key, each in inspect.signature(KINDS[name]).parameters.items()}
    given = reader.arguments(lambda: _argument(reader))
    reader.end("nothing more")
    found = bound(name, written(name, defaults), list(defaults), given)
    return KINDS[name](**{key: _value(f"{key} of {name}", *value, defaults[key]) for key, (value,) in found.items()})


def _argument(reader: Reader) -> tuple[float | str, str | None]:
    """A word, or a number with its unit."""
    return (reader.take("name", "a word"), None) if reader.now.kind == "name" else amount(reader)


def _value(what: str, given: float | str, unit: str | None, default: Any) -> Any:
    """An argument in the type of its default."""
    if isinstance(default, Length):
        if isinstance(given, str):
            raise InputError(f"{what} is a length, such as 5%, 500 or 2 epochs; it is {given!r}.")
        return Length.measured(given, unit or "")
    if unit is not None:
        raise InputError(f"{what} is no length; {given:g}{unit if unit == '%' else f' {unit}'} is not allowed for it.")
    if isinstance(default, bool) and not isinstance(given, str):
        given = f"{given:g}"
    return like(default, given, what)


def _begins(start: Length, name: str) -> Length:
    if start == Length(100, "%"):
        raise InputError(f"start={start} is not allowed for {name}; it must be below 100%.")
    return start


def _constant(decay: float, count: int) -> float:
    return decay


def _debiased(decay: float, count: int) -> float:
    return 1 - (1 - decay) / (1 - decay ** (count + 1))


def _equal(count: int) -> float:
    return count / (count + 1)
