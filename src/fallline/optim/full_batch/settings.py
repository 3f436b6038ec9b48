"""Which values the settings of the full-batch methods may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InputError


def checked(method: str, settings: Mapping[str, Any]) -> None:
    """Raises `InputError` for the first setting that is not allowed."""
    for name in settings.keys() & _ALLOWED.keys():
        allows, allowed = _ALLOWED[name]
        value = settings[name]
        try:
            good = allows(value)
        except (TypeError, ValueError, RuntimeError):
            good = False
        if not good:
            raise InputError(f"{name}={value!r} is not allowed for {method}; allowed: {allowed}.")


def evaluations(method: str, max_iter: int, max_eval: int | None) -> int:
    """`max_eval`, or what `torch.optim.LBFGS` takes in its place. Raises `InputError` for a `max_iter` not allowed."""
    checked(method, {"max_iter": max_iter})
    return max_iter * 5 // 4 if max_eval is None else max_eval


def _not_negative(value: Any) -> bool:
    return 0 <= float(value) < math.inf


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_ALLOWED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (_not_negative, "one number, at least 0"),
    "max_iter": (_whole, "a whole number, at least 1"),
    "max_eval": (_whole, "a whole number, at least 1"),
    "tolerance_grad": (_not_negative, "a number, at least 0"),
    "tolerance_change": (_not_negative, "a number, at least 0"),
    "history_size": (_whole, "a whole number, at least 1"),
    "line_search_fn": (lambda value: value in (None, "strong_wolfe"), "None or 'strong_wolfe'"),
    "stochastic": (lambda value: isinstance(value, bool), "True or False"),
    "radius": (lambda value: 0 < float(value) < math.inf, "a number more than 0"),
    "max_radius": (lambda value: 0 < float(value) < math.inf, "a number more than 0"),
}
