"""Training many trials: checked together, then run one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import get_args, get_type_hints

from ..errors import InputError
from ..problems import Problem
from . import single
from .trial import Outcome, Point, Trial

OnEpoch = Callable[[int, Point], None]
"""Called with a trial's index and every point of its curve, the untrained model's included."""


def train(
    problem: Problem, trials: Sequence[Trial], *, on_epoch: OnEpoch | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Train every trial, and give its index among `trials` and its outcome as it ends, in any order.

    Initial weights, dropout and data order depend on a trial's seed alone, and the caller's random state is
    left as it was. Raises `InputError`, before any training, for a trial that its rule does not allow.
    """
    kinds = get_args(get_type_hints(Trial)["kind"])
    for trial in trials:
        trial.rule.check(trial.settings)
        if trial.kind not in kinds:
            raise InputError(f"the kind of a trial must be one of {', '.join(kinds)}; it is {trial.kind!r}.")
    return _one_by_one(problem, list(trials), on_epoch or _nothing)


def _one_by_one(problem: Problem, trials: list[Trial], on_epoch: OnEpoch) -> Iterator[tuple[int, Outcome]]:
    warmed: set[str] = set()
    for index, trial in enumerate(trials):
        if trial.rule.name not in warmed:
            single.warm(problem, trial)
            warmed.add(trial.rule.name)
        yield index, single.run(problem, trial, partial(on_epoch, index))


def _nothing(index: int, point: Point) -> None:
    pass
