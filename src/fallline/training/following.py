"""A stack's trials under the schedule of their problem: before every update, each trial's own settings are changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..kernels.stacked import StackedStepper
from ..schedules import Follower, scheduled
from .course import Course


def follow(follower: Follower, courses: Sequence[Course], steppers: Iterable[tuple[slice, StackedStepper]]) -> None:
    """Give all trials their settings for the next update. A stepper's slice tells which of the courses it steps."""
    step = courses[0].steps
    shared = None if follower.watches else follower.factors(step)
    for part, stepper in steppers:
        if shared is not None:
            _put(stepper, slice(None), shared)
            continue
        for k, course in enumerate(courses[part]):
            follower.load(course.seen())
            _put(stepper, slice(k, k + 1), follower.factors(step))


def _put(stepper: StackedStepper, trials: slice, factors: Mapping[str, float]) -> None:
    base = {name: values[trials] for name, values in stepper.began.items()}
    for name, values in scheduled(base, factors).items():
        stepper.rows[:, trials, stepper.names.index(name)] = values
