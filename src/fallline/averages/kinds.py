"""The kinds of average: one decorated function each, which gives the name and the arguments of its text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import InputError, unknown
from .length import Length

_WHOLE, _LAST_QUARTER, _HUNDREDTH = Length(share=0.0), Length(share=0.75), Length(share=0.01)
_ONE = Length(steps=1)


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

    def counts(self, step: int, steps: int) -> bool:
        """Whether the weights after update `step` (from 0) of `steps` are averaged.

        Raises `InputError` where `step` is not in the run or the average would begin after its end.
        """
        if not 0 <= step < steps:
            raise InputError(f"step={step} is not in a run of {steps} steps; steps count from 0.")
        first = self.start.of(steps)
        if first >= steps:
            raise InputError(f"{self.text} begins at step {first}, but the run ends after {steps}.")
        return step >= first and (steps - 1 - step) % max(1, self.every.of(steps)) == 0


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
    text = "polyak" if start in (_WHOLE, Length(steps=0)) else f"polyak(start={start})"
    return Kind(text, _equal, _begins(start, "polyak"))


@kind
def swa(start: Length = _LAST_QUARTER, every: Length = _HUNDREDTH) -> Kind:
    """Stochastic weight averaging: equal weights of the iterates at every so many steps, from `start` on.

    Izmailov et al. 2018, arXiv:1803.05407, Algorithm 1, with c = `every`. There c is an epoch at a constant rate, or a
    cycle of the rate; a share of the run makes short runs average as many iterates as long ones.
    """
    if every.steps == 0 or every.share == 0:
        raise InputError(f"every={every} is not allowed for swa; it must be above 0.")
    return Kind(f"swa(start={start}, every={every})", _equal, _begins(start, "swa"), every)


def parse(text: str | Kind) -> Kind:
    """The average that a text names: `"ema"`, `"ema(0.99)"`, `"polyak(start=50%)"`, `"swa(start=75%, every=100)"`.

    Lengths are shares of the run (`5%`) or steps (`500`). Raises `InputError`, with the nearest names, for anything
    else.
    """
    if isinstance(text, Kind):
        return text
    match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*", text) if isinstance(text, str) else None
    if match is None:
        raise InputError(f'average={text!r} cannot be read; write a name with arguments, as in "ema(0.999)".')
    name, inside = match.group(1), match.group(2) or ""
    if name not in KINDS:
        raise unknown("average", name, KINDS)
    return KINDS[name](**_arguments(name, inside))


def _arguments(name: str, inside: str) -> dict[str, Any]:
    """The arguments between the brackets, by position or by name, each in the type of its default."""
    defaults = {key: p.default for key, p in inspect.signature(KINDS[name]).parameters.items()}
    given: dict[str, Any] = {}
    parts = [part.strip() for part in inside.split(",")] if inside.strip() else []
    for place, part in enumerate(parts):
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals:
            if place >= len(defaults):
                raise InputError(f"{name} takes {len(defaults)} arguments ({', '.join(defaults)}), not {len(parts)}.")
            key, value = list(defaults)[place], part
        if key not in defaults:
            raise unknown(f"argument of {name}", key, defaults)
        if key in given:
            raise InputError(f"{name} is given {key} twice.")
        given[key] = _value(name, key, value, defaults[key])
    return given


def _value(name: str, key: str, text: str, default: Any) -> Any:
    if isinstance(default, Length):
        return Length.read(text, f"{key} of {name}")
    if isinstance(default, bool):
        words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
        if text.lower() not in words:
            raise InputError(f"{key}={text!r} is not allowed for {name}; write on or off.")
        return words[text.lower()]
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{key}={text!r} is not allowed for {name}; a number is needed.") from None


def _begins(start: Length, name: str) -> Length:
    if start.share is not None and start.share >= 1:
        raise InputError(f"start={start} is not allowed for {name}; it must be below 100%.")
    return start


def _constant(decay: float, count: int) -> float:
    return decay


def _debiased(decay: float, count: int) -> float:
    return 1 - (1 - decay) / (1 - decay ** (count + 1))


def _equal(count: int) -> float:
    return count / (count + 1)
