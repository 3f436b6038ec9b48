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
from .course import Course
from .evaluate import Score, evaluate
from .randomness import drawing
from .snapshots import Weights
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
    """Trials in training. `courses` are those that go on, `left` those that diverged; `epoch` counts whole epochs."""

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

    def weights(self) -> list[Weights]:
        """Copies of what each trial is evaluated at, in the order of `courses`."""

    def state(self) -> State:
        """All that is needed to go on, between two steps."""

    def load(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from such a state."""


def untrained_test(problem: Problem, trial: Trial) -> Score:
    """The test scores of the untrained model, which a diverged trial is worth."""
    model = problem.build(trial.seed, trial.own)
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
