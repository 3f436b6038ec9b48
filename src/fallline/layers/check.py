"""Checks of the arguments of layers, models and training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import InputError


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value as a whole number from `least` on. Raises `InputError`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise InputError(f"{name} must be a whole number of at least {least}; it is {value!r}.")
    return int(value.__index__())


def number(name: str, value: Any, least: float = 0.0, below: float = float("inf"), *, above: bool = False) -> float:
    """The value as a number from `least` on, or above it, and below `below`. Raises `InputError`."""
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not least <= value < below or (above and value == least):
        bounds = f"{'above' if above else 'at least'} {least:g}" + (
            "" if below == float("inf") else f", below {below:g}"
        )
        raise InputError(f"{name} must be a number, {bounds}; it is {value!r}.")
    return float(value)


def share(name: str, value: Any) -> float:
    """The value as a share that is dropped, from 0 to below 1. Raises `InputError`."""
    return number(name, value, 0.0, 1.0)


def one_of(name: str, value: Any, allowed: Iterable[str]) -> str:
    """The value, one of those allowed. Raises `InputError`."""
    allowed = list(allowed)
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(map(repr, allowed))}; it is {value!r}.")
    return str(value)


def names(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    """Several names: a sequence of them, or a text with commas. Raises `InputError`."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, Sequence) or not all(isinstance(part, str) for part in value):
        raise InputError(f"{name}={value!r} is not allowed; allowed are names, or a text of names with commas.")
    return tuple(value)
