"""The names of steps in texts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..reader import written

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Named:
    """A class of steps under its name in texts; arguments that a text may give, in order, with their defaults."""

    name: str
    made: Callable[..., Any]
    defaults: dict[str, Any]

    @property
    def call(self) -> str:
        """How it is written, with its defaults."""
        return written(self.name, self.defaults)

    @property
    def summary(self) -> str:
        """The first line of its description."""
        return (inspect.getdoc(self.made) or "").partition("\n")[0]


NAMED: dict[str, Named] = {}
"""Name in texts -> step."""


def step(name: str, *arguments: str) -> Callable[[Class], Class]:
    """Give a class of steps its name in texts, which may give these `arguments` (default: all of the class)."""

    def make(made: Class) -> Class:
        found = {key: each.default for key, each in inspect.signature(made).parameters.items()}
        NAMED[name] = Named(name, made, {key: found[key] for key in arguments or found})
        return made

    return make
