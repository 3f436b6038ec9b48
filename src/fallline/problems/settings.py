"""Keyword arguments of a problem's functions that have other values than their defaults, and are not searched."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from torch import nn

from ..errors import InputError, unknown
from ..reader import like
from .own import keywords
from .space import Setting, Space, When

Settable = Mapping[str, Mapping[str, Any]]
"""For model, augment and loss: the names that can be set, with their defaults."""


def settable(functions: Mapping[str, Any]) -> Settable:
    """The keyword arguments with a default that is a number, a text, true or false; of a model also None."""
    plain = (bool, int, float, str)
    kinds = {taker: plain if taker == "loss" else (*plain, type(None)) for taker in functions}
    return {
        taker: {name: default for name, default in keywords(function).items() if isinstance(default, kinds[taker])}
        for taker, function in functions.items()
    }


def checked(settings: Mapping[str, Any], known: Settable) -> dict[str, Setting]:
    """The values in the types of their defaults. Raises `InputError` for a name that there is not, listing those."""
    made: dict[str, Setting] = {}
    for name, value in settings.items():
        defaults = [taken[name] for taken in known.values() if name in taken]
        if not defaults:
            raise missing(name, known)
        if not isinstance(value, bool | int | float | str) and (value is not None or defaults[0] is not None):
            raise InputError(f"{name}={value!r} is not allowed; allowed are numbers, words, on and off.")
        made[name] = like(defaults[0], value, name)
    return made


def missing(name: str, known: Settable, others: Collection[str] = ()) -> InputError:
    """The error for a name that neither the problem's functions nor `others` know."""
    names = {*others, *(each for taken in known.values() for each in taken)}
    if names:
        return unknown("setting", name, names)
    return InputError(
        f"unknown setting {name!r}: model, augment and loss have no keyword argument with a plain default "
        f"(`def model({name}=...)`)."
    )


def without(space: Space, names: Collection[str]) -> Space:
    """The space without these. Raises `InputError` where one of the others depends on them."""
    left = {name: part for name, part in space.items() if name not in names}
    for name, part in left.items():
        needed = sorted(part.conditions.keys() & set(names)) if isinstance(part, When) else []
        if needed:
            raise InputError(f"{needed[0]} cannot be set: the search of {name} depends on it.")
    return left


def calling(loss: Callable[..., Any], values: Mapping[str, Setting]) -> Any:
    """The loss with these keyword arguments; of PyTorch's module, these attributes."""
    if not values:
        return loss
    if not isinstance(loss, nn.CrossEntropyLoss):
        return partial(loss, **values)
    other = copy.copy(loss)
    vars(other).update(values)
    return other
