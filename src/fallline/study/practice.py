"""What is around the rule in every trial of a comparison: what is asked for, what a plan keeps of it, what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import penalties
from ..averages import Kind
from ..problems import Problem
from ..rules import Rule
from ..schedules import Absolute, Schedules, scheduled
from ..transfer.start import begun


@dataclass(frozen=True)
class Practice:
    """What `compare` is asked for, where each is told; None and nothing leave the problem's own as it is."""

    schedule: str | Schedules | None = None
    average: str | Kind | None = None
    patience: int | str | None = None
    l1: float | None = None
    l2: float | None = None
    penalize: str | Sequence[str] = ()
    weights: Path | str | None = None
    head: str = "auto"
    freeze: str | Sequence[str] = ()
    augment: str | None = None
    label_smoothing: float | None = None
    settings: Mapping[str, Any] | None = None
    unfreeze_every: int | None = None
    layer_factor: float | None = None

    def of(self, problem: Problem) -> Problem:
        """The problem with it. Raises `InputError` for whatever does not fit."""
        changes = {"augment": self.augment, "label_smoothing": self.label_smoothing, "settings": self.settings or None}
        if any(value is not None for value in changes.values()):
            problem = problem.changed(**changes)  # type: ignore[arg-type]
        if self.schedule is not None:
            problem = problem.scheduled(None if self.schedule == "none" else self.schedule)
        if self.average is not None:
            problem = problem.averaged(None if self.average == "none" else self.average)
        if self.patience is not None:
            problem = problem.patient(self.patience)
        problem = penalties.asked(problem, self.l1, self.l2, self.penalize)
        return begun(problem, self.weights, self.head, self.freeze, self.unfreeze_every, self.layer_factor)


def kept(problem: Problem) -> dict[str, Any]:
    """What a plan keeps of it, as plain values; what a problem is without is left out."""
    penalty, start = problem.penalty, problem.start
    values = {
        "schedule": problem.schedule and str(problem.schedule),
        "average": problem.average and str(problem.average),
        "patience": problem.patience,
        "penalty": penalty and {"l1": penalty.l1, "l2": penalty.l2, "penalize": list(penalty.where)},
        "augment": problem.augment_text,
        "settings": problem.settings or None,
        "start": start and start.asked,
    }
    return {name: value for name, value in values.items() if value is not None}


def again(problem: Problem, plan: Mapping[str, Any]) -> Problem:
    """A problem that was loaded anew, with what `kept` gave. Raises `InputError` for a checkpoint that is gone."""
    problem = problem.changed(augment=plan.get("augment"), settings=plan.get("settings"))
    problem = problem.scheduled(plan.get("schedule")).averaged(plan.get("average")).patient(plan.get("patience"))
    problem = problem.penalized(**plan.get("penalty", {}))
    return problem.transferred(**plan.get("start", {}))


def told(problem: Problem, rules: Sequence[Rule]) -> list[str]:
    """It in sentences."""
    notes = _on_schedule(problem, rules)
    if problem.average is not None:
        notes.append(f"Every trial is judged at an average of its weights: {problem.average}.")
    if problem.penalty is not None:
        penalty = problem.penalty
        of = f" of {', '.join(penalty.where)}" if penalty.where else ""
        notes.append(
            f"Every trial lowers a penalty of its weights too: l1 {penalty.l1:g}, l2 {penalty.l2:g}{of}. Losses are "
            "told without it."
        )
    return [*notes, *_on_start(problem)]


def check(problem: Problem, rules: Sequence[Rule]) -> None:
    """Raises `InputError` for a rule that cannot be trained so."""
    if problem.start is not None and problem.start.by_layer:
        model = problem.build(0)
        for rule in rules:
            problem.start.groups(model, rule, {})


def _on_start(problem: Problem) -> list[str]:
    """How layers learn in every trial."""
    start, notes = problem.start, []
    if start is not None and start.freeze:
        notes.append(f"In every trial these do not learn: {', '.join(start.freeze)}.")
    if start is not None and start.unfreeze_every is not None:
        often = "epoch" if start.unfreeze_every == 1 else f"{start.unfreeze_every} epochs"
        notes.append(f"In every trial the last layer learns first, and one more every {often}.")
    if start is not None and start.layer_factor is not None:
        notes.append(f"In every trial each layer learns {start.layer_factor:g} times slower than the next.")
    return notes


def _on_schedule(problem: Problem, rules: Sequence[Rule]) -> list[str]:
    """What there is to know about the schedule: what of it changes nothing, and which settings it makes idle."""
    if problem.schedule is None:
        return []
    notes = [f"Every trial follows the schedule {problem.schedule}."]
    factors = problem.follow().factors(0)
    ignored = [name for name, factor in factors.items() if isinstance(factor, Absolute)]
    if ignored:
        notes.append(f"The schedule sets {' and '.join(ignored)} itself: a trial's own value makes no difference.")
    for name in factors:
        without = [rule.name for rule in rules if not scheduled(rule.defaults, {name: 1.0})]
        if without:
            notes.append(f"The schedule's {name} changes nothing in {', '.join(without)}: there is no such setting.")
    return notes
