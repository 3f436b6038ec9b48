"""Texts of calls, as "warmup(5%) > cosine": cut into names, numbers and signs, and read from left to right.

    call     := name ["(" [argument ("," argument)*] ")"]
    argument := [name "="] value

What stands between calls, and what a value is, is up to each language: schedules, averages, augmentations, kinds of
ensemble.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import InputError, unknown

T = TypeVar("T")

_TOKEN = re.compile(r"\s*(?:(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\S))\s*")
_TRUTH = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}


@dataclass(frozen=True)
class Token:
    """A "name", a "number" or a "sign" where it stands in the text, or the "end"."""

    kind: str
    text: str
    at: int


class Reader:
    """A text and the place up to which it is read; `what` it is stands in errors."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what = text.strip(), what
        self._tokens = [
            Token(str(found.lastgroup), found[str(found.lastgroup)], found.start(str(found.lastgroup)))
            for found in _TOKEN.finditer(self.text)
        ]
        self._place = 0

    @property
    def now(self) -> Token:
        """What stands here."""
        return self._token(self._place)

    @property
    def next(self) -> Token:
        """What stands after it."""
        return self._token(self._place + 1)

    def took(self, sign: str) -> bool:
        """Whether this sign stands here; then it is passed."""
        here = self.now.kind == "sign" and self.now.text == sign
        self._place += here
        return here

    def take(self, kind: str, wanted: str) -> str:
        """The name or number that stands here, passed. Raises `InputError`, which says what was `wanted`."""
        if self.now.kind != kind:
            raise self.error(wanted)
        self._place += 1
        return self._token(self._place - 1).text

    def several(self, part: Callable[[], T], sign: str) -> list[T]:
        """One part, and more of them after signs."""
        parts = [part()]
        while self.took(sign):
            parts.append(part())
        return parts

    def arguments(self, value: Callable[[], T]) -> list[tuple[str | None, T]]:
        """What stands in brackets, each with its name where it has one; nothing where there are no brackets."""

        def argument() -> tuple[str | None, T]:
            name = None
            if self.now.kind == "name" and self.next.text == "=":
                name = self.take("name", "a name")
                self.took("=")
            return name, value()

        if not self.took("(") or self.took(")"):
            return []
        given = self.several(argument, ",")
        if not self.took(")"):
            raise self.error("a comma or )")
        return given

    def value(self) -> int | float | str | tuple[int | float, ...]:
        """A number, a word, or numbers in brackets."""
        if self.now.kind == "name":
            return self.take("name", "a word")
        if not self.took("("):
            return self._number("a value")
        numbers = tuple(self.several(lambda: self._number("a number"), ","))
        if not self.took(")"):
            raise self.error("a comma or )")
        return numbers

    def end(self, wanted: str) -> None:
        """Raises `InputError`, which says what was `wanted`, unless all is read."""
        if self.now.kind != "end":
            raise self.error(wanted)

    def error(self, wanted: str) -> InputError:
        """The error for something else than was wanted here."""
        found = f"{self.now.text!r}" if self.now.kind != "end" else "the end"
        where = f" after {self.text[: self.now.at].rstrip()!r}" if self.now.at else ""
        return InputError(f"{self.what} {self.text!r} cannot be read: {wanted} should stand{where}, not {found}.")

    def _number(self, wanted: str) -> int | float:
        said = self.take("number", wanted)
        return int(said) if said.lstrip("-").isdecimal() else float(said)

    def _token(self, place: int) -> Token:
        return self._tokens[place] if place < len(self._tokens) else Token("end", "", len(self.text))


def bound(
    of: str,
    call: str,
    names: Sequence[str],
    given: Sequence[tuple[str | None, T]],
    several: Collection[str] = (),
) -> dict[str, list[T]]:
    """What each argument was given, by position or by name: one value, or more where it is among `several`.

    Raises `InputError` for too much, for a name that there is not, and for one given twice. Errors call it `of`, and
    show how it is written, `call`.
    """
    waiting, values = list(names), dict[str, list[T]]()
    for name, value in given:
        if name is None:
            if not waiting:
                raise InputError(f"{of} was given too much; it is {call}.")
            name = waiting[0]
        elif name not in names:
            raise unknown(f"argument of {of}", name, names)
        if name in several:
            values.setdefault(name, []).append(value)
            continue
        if name in values:
            raise InputError(f"{of} was given {name} twice; it is {call}.")
        values[name] = [value]
        waiting = [other for other in waiting if other != name]
    return values


def like(default: Any, value: Any, what: str) -> Any:
    """The value as the kind of thing that the default is: on or off, a whole number, a number, a word.

    Beside a default of None, which "none" says, or of another kind everything is allowed. Raises `InputError`, naming
    `what` it is.
    """
    if default is None and value == "none":
        return None
    if isinstance(default, bool):
        if str(value).lower() not in _TRUTH:
            raise InputError(f"{what}={value!r} is not allowed; allowed are on and off.")
        return _TRUTH[str(value).lower()]
    if isinstance(default, str):
        if not isinstance(value, str):
            raise InputError(f"{what}={value!r} is not allowed; allowed is a word, such as {default!r}.")
        return value
    if isinstance(default, int | float):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not fits or (isinstance(default, int) and value != int(value)):
            kind = "whole number" if isinstance(default, int) else "number"
            raise InputError(f"{what}={value!r} is not allowed; a {kind} is needed.")
        return int(value) if isinstance(default, int) else float(value)
    return value


def written(name: str, defaults: dict[str, Any]) -> str:
    """A call as it is written, with its defaults."""
    return f"{name}({', '.join(f'{key}={_said(value)}' for key, value in defaults.items())})"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"({', '.join(map(_said, value))})"
    short = f"{value:g}" if isinstance(value, int | float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)
