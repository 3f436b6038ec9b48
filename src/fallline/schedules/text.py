"""Schedules from their text.

schedules := clause (";" clause)*
clause    := [quantity ":"] stage (">" stage)*
stage     := term ("*" term)*
term      := name ["(" [argument ("," argument)*] ")"]
argument  := [name "="] number ["%" | "steps" | "epochs"]
"""

from __future__ import annotations

from typing import Any

from ..errors import InputError, unknown
from ..reader import Reader, bound
from .length import Length, amount
from .plan import Clause, Schedules, Stage, Term, Value
from .schedule import QUANTITIES, Parameter, Schedule, check_number, get

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
    return _Reader(text, "schedule").schedules()


class _Reader(Reader):
    """Reads the parts of the grammar."""

    def schedules(self) -> Schedules:
        clauses = [self._clause()]
        while self.took(";"):
            if self.now.kind == "end":
                break
            clauses.append(self._clause())
        self.end("one of > * ;")
        _check_once(clauses)
        return Schedules(tuple(clauses))

    def _clause(self) -> Clause:
        quantity = None
        if self.now.kind == "name" and self.next.text == ":":
            quantity = self.take("name", "a quantity")
            self.took(":")
            if quantity not in QUANTITIES:
                raise unknown("quantity", quantity, QUANTITIES)
        clause = Clause(quantity, tuple(self.several(self._stage, ">")))
        _check_clause(clause)
        return clause

    def _stage(self) -> Stage:
        terms = self.several(self._term, "*")
        stage = Stage(tuple(terms))
        if sum(term.length is not None for term in terms) > 1:
            raise InputError(f"{str(stage)!r} is given more than one length; one is enough for a product.")
        return stage

    def _term(self) -> Term:
        schedule = get(self.take("name", f"the name of a schedule, {_EXAMPLE},"))
        return _bound(schedule, self.arguments(lambda: amount(self)))


def _bound(schedule: Schedule, given: list[tuple[str | None, tuple[float, str | None]]]) -> Term:
    """The term with what it was given by position and by name."""
    order = {parameter.name: parameter for parameter in schedule.order}
    several = [name for name, parameter in order.items() if parameter.several]
    values: dict[str, Any] = {}
    for name, amounts in bound(schedule.name, schedule.call, list(order), given, several).items():
        read = tuple(_value(schedule, order[name], number, unit) for number, unit in amounts)
        values[name] = read if name in several else read[0]
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
        length = Length.measured(number, unit or "")
        if not length.number:
            raise InputError(f"a length of {length} is not allowed for {schedule.name}; allowed are lengths above 0.")
        return length
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
