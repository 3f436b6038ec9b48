"""Which of a problem's functions takes which of its own hyper-parameters, read from their keyword arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from ..rules.hyper import Range
from .space import Choice, Setting, Space, Whole, allowed_value, bare, existing


@dataclass(frozen=True)
class Keywords:
    """The names that `model`, `augment` and `loss` take, and the default of every name."""

    takers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Setting] = field(default_factory=dict)

    def part(self, taker: str, own: Mapping[str, Setting]) -> dict[str, Setting]:
        """Those of the values that this function takes."""
        return {name: own[name] for name in self.takers.get(taker, ()) if name in own}


def keywords(function: Callable[..., Any] | None) -> dict[str, Any]:
    """The named arguments of a function that have a default, with it. A finished module takes none to be built."""
    if function is None:
        return {}
    if isinstance(function, nn.CrossEntropyLoss):
        return {"label_smoothing": function.label_smoothing}
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in parameters if p.kind in named and p.default is not inspect.Parameter.empty}


def read_keywords(space: Space, functions: Mapping[str, Any]) -> Keywords:
    """Who takes what, and the defaults. Raises `InputError` for a name that no function takes with a default."""
    known = {taker: keywords(function) for taker, function in functions.items()}
    takers = {taker: tuple(name for name in space if name in names) for taker, names in known.items()}
    defaults = {}
    for name, part in space.items():
        found = {taker: known[taker][name] for taker, names in takers.items() if name in names}
        if not found:
            raise InputError(_untaken(name, known, functions))
        if len({repr(default) for default in found.values()}) > 1:
            said = ", ".join(f"{default!r} in {taker}" for taker, default in found.items())
            raise InputError(f"space[{name!r}]: its defaults differ ({said}); give both functions the same one.")
        defaults[name] = _default(name, bare(part), *next(iter(found.items())))
    return Keywords(takers, defaults)


def complete(space: Space, keywords: Keywords, own: Mapping[str, Any]) -> dict[str, Setting]:
    """The values with the defaults of those that are missing. Raises `InputError` for what the space does not allow."""
    for name in own:
        if name not in space:
            known = f"it has {', '.join(space)}" if space else "it has none (give Problem a space)"
            raise InputError(f"{name!r} is none of the problem's own hyper-parameters: {known}.")
    given = {name: allowed_value(name, space[name], own[name], keywords.defaults[name]) for name in own}
    values = {name: given.get(name, default) for name, default in keywords.defaults.items()}
    there = existing(space, values)
    for name, value in given.items():
        if name not in there and value != keywords.defaults[name]:
            raise InputError(f"{name}={value!r} is not allowed beside the other values; allowed: {space[name]}.")
    return values


def corners(space: Space, defaults: Mapping[str, Setting]) -> Iterator[dict[str, Setting]]:
    """Settings to try before training: everything lowest, everything highest, and every choice once."""
    for u in (0.0, 1.0):
        yield existing(space, {name: bare(part).sample(u) for name, part in space.items()})
    for name, part in space.items():
        inner = bare(part)
        if isinstance(inner, Choice):
            # a choice that exists under conditions only is tried where they hold by default
            yield from (existing(space, {**defaults, name: value}) for value in inner.values[1:-1])


def checked_pair(pair: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """What `augment` gave for a batch. Raises `InputError` unless it is a batch of as many examples."""
    if not (isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, Tensor) for part in pair)):
        raise InputError(f"augment(x, y) must give the pair (x, y) of tensors; it gave a {type(pair).__name__}.")
    if len(pair[0]) != len(x) or len(pair[1]) != len(y):
        raise InputError(
            f"augment(x, y) must give as many examples as it gets ({len(x)}); it gave {len(pair[0])} inputs and "
            f"{len(pair[1])} targets."
        )
    return pair[0], pair[1]


def told(values: Mapping[str, Setting]) -> str:
    """The values as a person writes them."""
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _untaken(name: str, known: Mapping[str, Mapping[str, Any]], functions: Mapping[str, Any]) -> str:
    if functions.get("model") is None and not known.get("augment") and not known.get("loss"):
        there = "The model is a finished nn.Module, which cannot be built otherwise: give the function that makes it"
    else:
        names = [f"{taker} takes {', '.join(taken)}" for taker, taken in known.items() if taken]
        there = f"With a default, {'; '.join(names)}" if names else "None of them has one"
    return (
        f"space[{name!r}] must be a keyword argument, with a default, of model, augment or loss. {there}; "
        f"write for instance `def model({name}=...)`."
    )


def _default(name: str, part: Any, taker: str, default: Any) -> Setting:
    kinds: dict[type, Any] = {Choice: str | bool | int | float, Whole: int, Range: int | float}
    if not isinstance(default, kinds[type(part)]) or (isinstance(default, bool) and not isinstance(part, Choice)):
        raise InputError(f"the default {name}={default!r} of {taker} does not fit space[{name!r}]: {part}.")
    return float(default) if isinstance(part, Range) else default
