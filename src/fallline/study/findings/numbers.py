"""Numbers as people write them: as many digits as they carry."""

from __future__ import annotations

import math


def signed(text: str) -> str:
    """The number with a minus sign that is one, and no minus before zero."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else "\N{MINUS SIGN}" + text[1:]
    return text


def brief(value: float | str, digits: int = 2) -> str:
    """A setting with `digits` significant digits, near one those of what is missing: 3.1e-3, 0.05, 0.9991.

    Whole numbers, texts, true and false stand as they are.
    """
    if isinstance(value, str | int):
        return str(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 0.9 <= value < 1:
        decimals = digits - 1 - math.floor(math.log10(1 - value))
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    if 1e-2 <= abs(value) < 1e4:
        return signed(f"{float(f'{value:.{digits}g}'):g}")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return signed(f"{mantissa}e{int(exponent)}")
