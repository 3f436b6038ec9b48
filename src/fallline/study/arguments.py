"""Arguments of a study, checked one by one: each mistake gets one error that says what is allowed."""

from __future__ import annotations

import math
import operator
import re
from typing import Any, Literal

from ..errors import InputError

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def whole(name: str, value: Any, low: int) -> int:
    """A whole number from `low` up."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < low:
        raise InputError(f"{name}={value!r} is not allowed; allowed are whole numbers from {low} up.")
    return number


def finite(name: str, value: Any) -> float | None:
    """A finite value of the metric, or None."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name}={value!r} is not allowed; allowed is a finite value of the metric.")
    return number


def size(name: str, value: Any) -> int | None:
    """A number of bytes from a number or a text ("8GiB", "500MB", "2 G"), or None."""
    if value is None:
        return None
    said = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", str(value), re.IGNORECASE)
    number = float(said[1]) * (1024 if said[3] else 1000) ** _UNITS[said[2].lower()] if said else 0.0
    if isinstance(value, bool) or not 1 <= number < 2**63:
        raise InputError(f"{name}={value!r} is not allowed; allowed are bytes, or sizes such as 8GiB or 500MB.")
    return int(number)


def stack(value: Any) -> Literal["auto", "off"] | int:
    """How many trials train as one program: "auto", "off" or a number."""
    if value == "auto":
        return "auto"
    if value == "off":
        return "off"
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"stack={value!r} is not allowed; allowed are 'auto', 'off' and whole numbers from 1 up.")
    return value
