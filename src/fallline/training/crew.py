"""A crew: trials that train together, step by step, one of them (`alone.py`) or many (`stack.py`).

A crew can be stopped between any two steps, its state taken as tensors and plain facts, and another crew of the same
trials can go on from there with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from ..problems import Problem, derive
from ..tensors import parameters_and_buffers
from .course import Course
from .evaluate import Score, evaluate
from .randomness import drawing
from .snapshots import Weights
from .stopping import best_epoch
from .trial import Trial

WATCHED = 32
"""Steps between two looks at the losses: each look waits for the device."""
TIMED = 8
"""Every so many steps the optimizer's own time is taken."""
_SMALL_STEP = 1 << 19
"""Parameters times examples of a batch below which waking more threads costs more than they save."""

Pause = Callable[[], bool]
State = tuple[dict[str, Tensor], dict[str, Any]]


class Crew(Protocol):
    """Trials in training; `epoch` counts whole epochs. `courses` are those that go on, `left` those that do not: they
    diverged, which their `reason` says, or their patience was over."""

    courses: list[Course]
    left: list[Course]
    epoch: int

    def begin(self) -> None:
        """Evaluate the untrained models."""

    def advance(self, pause: Pause) -> bool:
        """Train to the end of the epoch and evaluate; False when `pause()`, asked after every step, stopped it."""

    def take(self, lr: float) -> list[float]:
        """Take one step at a learning rate, into the next pass over the data where one ends; the losses before it."""

    def drop(self, gone: Sequence[Course]) -> None:
        """Go on without these."""

    def test(self) -> list[Score]:
        """Scores on test data, in the order of `courses`."""

    def weights(self, of: Sequence[int] | None = None) -> list[Weights]:
        """Copies of what each trial, or each at these places, is evaluated at, in the order of `courses`."""

    def state(self) -> State:
        """All that is needed to go on, between two steps."""

    def load(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from such a state."""


def out_of_patience(crew: Crew, problem: Problem) -> list[Course]:
    """At the end of an epoch, those that have waited too long for a better one; weights of best epochs are kept."""
    if problem.patience is None:
        return []
    best = [best_epoch(course.curve, problem.metric.maximize) for course in crew.courses]
    scored = [course.trial.kind != "search" for course in crew.courses]
    improved = [k for k, epoch in enumerate(best) if epoch == crew.epoch and scored[k]]
    for k, weights in zip(improved, crew.weights(improved) if improved else [], strict=True):
        crew.courses[k].kept = weights
    over = crew.epoch < problem.epochs  # at the last one all end
    waited = zip(crew.courses, best, strict=True)
    return [course for course, epoch in waited if over and crew.epoch - epoch >= problem.patience]


def score_on_test(problem: Problem, trial: Trial, weights: Weights | None = None) -> Score:
    """The test scores of a trial's model with these weights, or untrained, which a diverged trial is worth."""
    model = problem.build(trial.seed, trial.own)
    held = parameters_and_buffers(model)
    with torch.no_grad():
        for name, value in (weights or {}).items():
            held[name].copy_(value)
    with drawing(derive(trial.seed, "evaluate", "test")), threads(problem):
        return evaluate(model, problem, problem.test)


def augmented(problem: Problem, trial: Trial, x: Tensor, y: Tensor, epoch: int, at: int) -> tuple[Tensor, Tensor]:
    """A training batch as the trial augments it, with draws from a seed of the batch's own."""
    if problem.augment is None:
        return x, y
    with drawing(derive(trial.seed, "augment", epoch, at)):
        return problem.augmented(x, y, trial.own)


def synchronize(device: torch.device) -> None:
    """Wait for what the device has been given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """PyTorch computes with no more than this many threads (0: with as many as before)."""
    before = torch.get_num_threads()
    if not 0 < threads < before:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads(problem: Problem, trials: int = 1) -> Iterator[None]:
    """One thread for a tiny model: chosen by size, never by the clock, on which no number may depend."""
    with at_most(0 if problem.parameters_count * problem.batch_size * trials > _SMALL_STEP else 1):
        yield
