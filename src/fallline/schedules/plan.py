"""Schedules put together: stages one after another, products in a stage, a clause for each group of quantities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .length import Length, Run
from .schedule import Absolute, Schedule

Value = Length | float | tuple[Length, ...]
Seen = Sequence[tuple[float, float]]
"""Validation losses, each after the time (in updates) at which it was seen, in order."""
_Evaluate = Callable[[float, Seen], float]


@dataclass(frozen=True)
class Term:
    """A schedule with its arguments, those at their defaults left out; `length` is how long the stage lasts."""

    schedule: Schedule
    arguments: Mapping[str, Value] = field(default_factory=dict)
    length: Length | None = None

    def __str__(self) -> str:
        said = []
        for place, parameter in enumerate(self.schedule.order):
            value = self.length if parameter.name == "length" else self.arguments.get(parameter.name)
            if value is None:
                continue
            text = ", ".join(map(str, value)) if isinstance(value, tuple) else _text(value)
            said.append(text if place == 0 else f"{parameter.name}={text}")
        return f"{self.schedule.name}({', '.join(said)})" if said else self.schedule.name

    def bound(self, run: Run) -> tuple[list[float], dict[str, float]]:
        """The arguments of the function, lengths in updates: by position, and by name."""
        by_position: list[float] = []
        by_name: dict[str, float] = {}
        for parameter in self.schedule.parameters:
            value: Any = self.arguments.get(parameter.name, parameter.default)
            if parameter.several:
                by_position += [length.updates(run) for length in value]
            elif parameter.kind == "length":
                by_name[parameter.name] = value.updates(run)
            else:
                by_name[parameter.name] = value
        return by_position, by_name


@dataclass(frozen=True)
class Stage:
    """Schedules that are multiplied, over one stretch of the run."""

    terms: tuple[Term, ...]

    @property
    def length(self) -> Length | None:
        """How long it lasts; None for what the other stages leave."""
        return next((term.length for term in self.terms if term.length is not None), None)

    def __str__(self) -> str:
        return " * ".join(map(str, self.terms))


@dataclass(frozen=True)
class Clause:
    """Stages one after another, for the `quantity` or, without one, for all that their schedules set."""

    quantity: str | None
    stages: tuple[Stage, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """The quantities."""
        if self.quantity is not None:
            return (self.quantity,)
        return tuple(dict.fromkeys(name for schedule in self._schedules for name in schedule.sets))

    @property
    def watches(self) -> bool:
        """Whether it depends on the validation loss."""
        return any(schedule.watches for schedule in self._schedules)

    @property
    def _schedules(self) -> list[Schedule]:
        return [term.schedule for stage in self.stages for term in stage.terms]

    def __str__(self) -> str:
        prefix = "" if self.quantity is None else f"{self.quantity}: "
        return prefix + " > ".join(map(str, self.stages))

    def spans(self, run: Run) -> list[tuple[float, float]]:
        """Begin and length of every stage, in updates. Raises `InputError` where they do not fit into the run."""
        given = [None if stage.length is None else stage.length.updates(run) for stage in self.stages]
        taken = math.fsum(length for length in given if length is not None)
        if taken > run.updates * (1 + 1e-9) or (None in given and taken >= run.updates):
            more = "with nothing left for the rest" if None in given else "more than there are"
            raise InputError(
                f"schedule {str(self)!r} does not fit: its stages take {taken:g} of the run's {run.updates:g} "
                f"updates, {more}."
            )
        lengths = [run.updates - taken if length is None else length for length in given]
        begins = [math.fsum(lengths[:k]) for k in range(len(lengths))]
        return list(zip(begins, lengths, strict=True))

    def over(self, run: Run, quantity: str) -> _Evaluate:
        """The quantity's factor at a time in updates."""
        stages = [
            (begin, length, [_function(term, self.quantity, quantity, run) for term in stage.terms])
            for (begin, length), stage in zip(self.spans(run), self.stages, strict=True)
        ]
        begins = [begin for begin, _, _ in stages]

        def evaluate(time: float, seen: Seen) -> float:
            k = max(k for k, begin in enumerate(begins) if begin <= time)
            begin, length, terms = stages[k]
            at = min(time - begin, length)
            losses = [loss for when, loss in seen if begin < when <= time] if seen else []
            values = [term(at, length, losses) for term in terms]
            product = math.prod(values)
            return Absolute(product) if any(isinstance(value, Absolute) for value in values) else product

        return evaluate


@dataclass(frozen=True, repr=False)
class Schedules:
    """Everything that is scheduled in a run, as `parse` reads it; `str` gives the text back."""

    clauses: tuple[Clause, ...]

    @property
    def quantities(self) -> tuple[str, ...]:
        """What is scheduled."""
        return tuple(name for clause in self.clauses for name in clause.sets)

    @property
    def watches(self) -> bool:
        """Whether anything depends on the validation loss."""
        return any(clause.watches for clause in self.clauses)

    def over(self, run: Run) -> dict[str, _Evaluate]:
        """Each quantity's factor as a function of the time in updates and the validation losses seen.

        Raises `InputError` where a stage does not fit into the run.
        """
        return {name: clause.over(run, name) for clause in self.clauses for name in clause.sets}

    def plot(self, path: Path | str | None = None, *, steps: int = 1000, epochs: int = 10) -> Any:
        """What is scheduled over a run of `steps` updates (before any growth of the batch) in `epochs`.

        A Matplotlib figure, also saved when `path` (.png, .svg, .pdf) is given. Raises `InputError` for counts that are
        not allowed, and for schedules that do not fit into the run.
        """
        from ..report.schedule import figure
        from .curves import curves

        return figure(curves(self, steps, epochs), path)

    def __str__(self) -> str:
        return "; ".join(map(str, self.clauses))

    def __repr__(self) -> str:
        return f"Schedules({str(self)!r})"


def _function(term: Term, asked: str | None, quantity: str, run: Run) -> Callable[[float, float, list[float]], float]:
    """A term as a function of `at`, `steps` and the losses, for one of its quantities."""
    schedule = term.schedule
    place = schedule.sets.index(quantity) if quantity in schedule.sets else 0
    if asked is None and quantity not in schedule.sets:
        return lambda at, steps, losses: 1.0
    by_position, by_name = term.bound(run)

    def function(at: float, steps: float, losses: list[float]) -> float:
        watched = (losses,) if schedule.watches else ()
        value = schedule.function(at, steps, *watched, *by_position, **by_name)
        found: float = value[place] if len(schedule.sets) > 1 else value
        return found

    return function


def _text(value: Length | float) -> str:
    return str(value) if isinstance(value, Length) else f"{value:.15g}"
