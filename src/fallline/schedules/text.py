"""Schedules from their text.

schedules := clause (";" clause)*
clause    := [quantity ":"] stage (">" stage)*
stage     := term ("*" term)*
term      := name ["(" [argument ("," argument)*] ")"]
argument  := [name "="] number ["%" | "steps" | "epochs"]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, unknown
from .length import UNITS, Length
from .plan import Clause, Schedules, Stage, Term, Value
from .schedule import QUANTITIES, Parameter, Schedule, check_number, get

_TOKEN = re.compile(r"\s*(?:(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\S))\s*")
_EXAMPLE = 'such as "warmup(5%) > cosine"'


def parse(text: str | Schedules) -> Schedules:
    """The schedules that a text describes; what is parsed already is given back.

    Stages follow each other at `>`, `*` multiplies, `;` separates quantities: "lr: warmup(5%) > cosine; weight_decay:
    linear". Lengths are shares of the run (`5%`), updates (`500`) or epochs (`2 epochs`). Raises `InputError` for a
    text that is none, with the nearest names where one is unknown.
    """
    if isinstance(text, Schedules):
        return text
    if not isinstance(text, str):
        raise InputError(f"schedule must be a text, {_EXAMPLE}; it is a {type(text).__name__}.")
    return _Reader(text).schedules()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.tokens = [
            _Token(str(found.lastgroup), found[str(found.lastgroup)], found.start(str(found.lastgroup)))
            for found in _TOKEN.finditer(self.text)
        ]
        self.place = 0

    def schedules(self) -> Schedules:
        clauses = [self._clause()]
        while self._took(";"):
            if self._now.kind == "end":
                break
            clauses.append(self._clause())
        if self._now.kind != "end":
            raise self._error("one of > * ;")
        _check_once(clauses)
        return Schedules(tuple(clauses))

    def _clause(self) -> Clause:
        quantity = None
        if self._now.kind == "name" and self._next.text == ":":
            quantity = self._take("name", "a quantity")
            self._took(":")
            if quantity not in QUANTITIES:
                raise unknown("quantity", quantity, QUANTITIES)
        stages = [self._stage()]
        while self._took(">"):
            stages.append(self._stage())
        clause = Clause(quantity, tuple(stages))
        _check_clause(clause)
        return clause

    def _stage(self) -> Stage:
        terms = [self._term()]
        while self._took("*"):
            terms.append(self._term())
        stage = Stage(tuple(terms))
        if sum(term.length is not None for term in terms) > 1:
            raise InputError(f"{str(stage)!r} is given more than one length; one is enough for a product.")
        return stage

    def _term(self) -> Term:
        schedule = get(self._take("name", f"the name of a schedule, {_EXAMPLE},"))
        given: list[tuple[str | None, float, str | None]] = []
        if self._took("(") and not self._took(")"):
            given.append(self._argument())
            while self._took(","):
                given.append(self._argument())
            if not self._took(")"):
                raise self._error("a comma or )")
        return _bound(schedule, given)

    def _argument(self) -> tuple[str | None, float, str | None]:
        name = None
        if self._now.kind == "name" and self._next.text == "=":
            name = self._take("name", "a name")
            self._took("=")
        number = float(self._take("number", "a number"))
        unit = None
        if self._took("%"):
            unit = "%"
        elif self._now.kind == "name":
            unit = self._take("name", "a unit")
            if unit not in UNITS:
                raise unknown("unit", unit, ["%", "epochs", "steps"])
        return name, number, unit

    @property
    def _now(self) -> _Token:
        return self._token(self.place)

    @property
    def _next(self) -> _Token:
        return self._token(self.place + 1)

    def _token(self, place: int) -> _Token:
        return self.tokens[place] if place < len(self.tokens) else _Token("end", "", len(self.text))

    def _took(self, sign: str) -> bool:
        here = self._now.kind == "sign" and self._now.text == sign
        self.place += here
        return here

    def _take(self, kind: str, wanted: str) -> str:
        if self._now.kind != kind:
            raise self._error(wanted)
        self.place += 1
        return self._token(self.place - 1).text

    def _error(self, wanted: str) -> InputError:
        found = f"{self._now.text!r}" if self._now.kind != "end" else "the end"
        where = f" after {self.text[: self._now.at].rstrip()!r}" if self._now.at else ""
        return InputError(f"schedule {self.text!r} cannot be read: {wanted} should stand{where}, not {found}.")


def _bound(schedule: Schedule, given: list[tuple[str | None, float, str | None]]) -> Term:
    """The term with what it was given by position and by name."""
    order = {parameter.name: parameter for parameter in schedule.order}
    waiting = list(schedule.order)
    values: dict[str, Any] = {}
    for name, number, unit in given:
        if name is None:
            if not waiting:
                raise InputError(f"{schedule.name} was given too much; it is {schedule.call}.")
            parameter = waiting[0]
        elif name not in order:
            raise unknown(f"argument of {schedule.name}", name, order)
        else:
            parameter = order[name]
        value = _value(schedule, parameter, number, unit)
        if parameter.several:
            values[parameter.name] = (*values.get(parameter.name, ()), value)
            continue
        if parameter.name in values:
            raise InputError(f"{schedule.name} was given {parameter.name} twice; it is {schedule.call}.")
        values[parameter.name] = value
        waiting = [other for other in waiting if other is not parameter]
    for parameter in schedule.parameters:
        if parameter.default is None and parameter.name not in values:
            raise InputError(f"{schedule.name} needs {parameter.name}; it is {schedule.call}.")
    length = values.pop("length", None)
    kept: dict[str, Value] = {
        parameter.name: values[parameter.name]
        for parameter in schedule.parameters
        if parameter.name in values and values[parameter.name] != parameter.default
    }
    return Term(schedule, kept, length)


def _value(schedule: Schedule, parameter: Parameter, number: float, unit: str | None) -> Length | float:
    if parameter.kind == "length":
        return Length.measured(number, unit or "")
    if unit is not None:
        said = f"{number:g}{unit if unit == '%' else f' {unit}'}"
        raise InputError(f"{parameter.name} of {schedule.name} is a number, not a length such as {said}.")
    return check_number(schedule, parameter, number)


def _check_clause(clause: Clause) -> None:
    """Raises `InputError` where it is not said how long stages last, or which quantity is meant."""
    open_ = [str(stage) for stage in clause.stages if stage.length is None]
    if len(open_) > 1:
        raise InputError(
            f"schedule {str(clause)!r} does not say how long {open_[0]!r} lasts, nor {open_[1]!r}: all stages but one "
            "need a length, as in constant(75%) > linear(25%)."
        )
    quantity = clause.quantity
    for term in (term for stage in clause.stages for term in stage.terms):
        schedule = term.schedule
        if quantity is not None and quantity not in schedule.sets and len(schedule.sets) > 1:
            raise InputError(f"{schedule.name} sets {' and '.join(schedule.sets)}; it cannot be used for {quantity}.")
    if clause.watches and "batch_size" in clause.sets:
        raise InputError(
            f"schedule {str(clause)!r} is not allowed: a batch size cannot depend on the validation loss, since the "
            "number of updates must be known when training begins."
        )


def _check_once(clauses: list[Clause]) -> None:
    seen: dict[str, Clause] = {}
    for clause in clauses:
        for name in clause.sets:
            if name in seen:
                raise InputError(f"{name} is scheduled twice, by {str(seen[name])!r} and by {str(clause)!r}.")
            seen[name] = clause
