"""Training at a learning rate that changes with every step, for several seeds at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ..problems import Problem
from ..rules import Rule
from ..stacking import CannotStack
from .alone import Alone
from .course import Course
from .crew import Crew, threads
from .stack import Stack
from .trial import Trial

OnStep = Callable[[int, int, float], bool | None]
"""Called with the index of a seed, the number of a step (from 0) and its loss; true ends that seed's sweep."""

_HEALTHY_LOSS = 1e6
"""A model that raises an exception after a loss beyond this has diverged; otherwise it has an error."""


def sweep(
    problem: Problem,
    rule: Rule,
    settings: Mapping[str, float],
    rates: Sequence[float],
    seeds: Sequence[int],
    on_step: OnStep | None = None,
) -> list[list[float]]:
    """The batch loss before each step, for every seed: step k is taken at `rates[k]`.

    Weights, dropout and data order are those of a trial with that seed; the problem's schedule is not followed. A
    seed's sweep ends early when its loss is not finite (that loss is the last), when `on_step` says so, or when the
    model fails on weights beyond all bounds.
    """
    problem = problem.scheduled(None).averaged(None)
    courses = [Course(index, Trial(rule, settings, seed, "search")) for index, seed in enumerate(seeds)]
    losses: list[list[float]] = [[] for _ in seeds]
    if len(courses) > 1:
        try:
            _run(problem, Stack(problem, courses), rates, losses, on_step)
        except CannotStack:
            losses = [[] for _ in seeds]
        else:
            return losses
    for course in courses:
        _run(problem, Alone(problem, [course]), rates, losses, on_step)
    return losses


def _run(
    problem: Problem, crew: Crew, rates: Sequence[float], losses: list[list[float]], on_step: OnStep | None
) -> None:
    with threads(problem, len(crew.courses)):
        for number, rate in enumerate(rates):
            courses = list(crew.courses)
            if not courses:
                return
            try:
                taken = crew.take(rate)
            except Exception:
                if all(not losses[c.index] or abs(losses[c.index][-1]) < _HEALTHY_LOSS for c in courses):
                    raise
                return
            over = []
            for course, loss in zip(courses, taken, strict=True):
                losses[course.index].append(loss)
                stop = on_step is not None and on_step(course.index, number, loss)
                if stop or not math.isfinite(loss):
                    over.append(course)
            crew.drop(over)
