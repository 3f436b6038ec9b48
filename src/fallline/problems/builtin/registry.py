"""The names of the built-in problems, and the decorator that gives one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from ..problem import Problem

BUILTIN: dict[str, Callable[[Path | None], Problem]] = {}
"""Name -> function of the directory of data sets (most need none)."""


def builtin(function: Callable[..., Problem]) -> Callable[..., Problem]:
    """Make a function a built-in problem. One that reads files takes their directory, `data`."""
    takes_data = "data" in inspect.signature(function).parameters

    def make(data: Path | None) -> Problem:
        try:
            return function(data) if takes_data else function()
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("sklearn"):
                raise
            raise InputError(
                f"{function.__name__} needs scikit-learn; install it with: pip install 'fallline[problems]'"
            ) from error

    make.__doc__ = function.__doc__
    BUILTIN[function.__name__] = make
    return function


def names() -> list[str]:
    """The names of the built-in problems."""
    return sorted(BUILTIN)


def summary(name: str) -> str:
    """The first line of a built-in problem's description."""
    return inspect.cleandoc(BUILTIN[name].__doc__ or "").partition("\n")[0]
