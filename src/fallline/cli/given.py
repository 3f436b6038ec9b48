"""Options that several verbs read alike."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError


def numbers(given: Sequence[str]) -> dict[str, float]:
    """The values of `--set NAME=VALUE`, which are numbers."""
    settings: dict[str, float] = {}
    for name, value in pairs(given).items():
        try:
            settings[name] = float(value)
        except ValueError:
            raise InputError(
                f"--set {name}={value} is not allowed; write NAME=VALUE with a number, as in --set beta1=0.95."
            ) from None
    return settings


def values(given: Sequence[str]) -> dict[str, float | int | str]:
    """The values of `--set NAME=VALUE`: numbers, or words for choices of the problem's own."""
    return {name: _value(value) for name, value in pairs(given).items()}


def pairs(given: Sequence[str]) -> dict[str, str]:
    """The texts of `--set NAME=VALUE`, by name."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = (part.strip() for part in each.partition("="))
        if not (name and equals and value):
            raise InputError(f"--set {each} is not allowed; write NAME=VALUE with a number, as in --set beta1=0.95.")
        if name in found:
            raise InputError(f"--set gives {name} more than once.")
        found[name] = value
    return found


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
