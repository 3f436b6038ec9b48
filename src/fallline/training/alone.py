"""One trial by itself, as an ordinary PyTorch loop would train it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from .. import optim
from ..averages import Average
from ..problems import Problem, derive, generator
from ..schedules import apply, bases
from ..tensors import parameters_and_buffers, under
from ..transfer import Start
from .course import Course
from .crew import TIMED, WATCHED, Pause, State, augmented, out_of_patience, synchronize, threads
from .evaluate import Score, evaluate
from .randomness import Generators, drawing
from .snapshots import Weights
from .trial import Trial

_HEALTHY_WEIGHT = 1e8
"""A model that raises an exception has diverged if a weight is beyond this; otherwise it has an error."""
_RECALIBRATED = 64
"""Batches from which batch norms learn the statistics of averaged weights, at the end of every epoch."""


class Alone:
    """A crew of one."""

    def __init__(self, problem: Problem, courses: Sequence[Course]) -> None:
        (self.course,) = courses
        self.problem, self.trial = problem, self.course.trial
        self.courses, self.left = [self.course], list[Course]()
        self.epoch = 0
        self.model = problem.build(self.trial.seed, self.trial.own)
        self.loss = problem.loss_of(self.trial.own)
        self.penalty = None if problem.penalty is None else problem.penalty.of(self.model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        start = problem.start or Start()
        groups = start.groups(self.model, self.trial.rule, self.trial.settings)
        self.optimizer = optim.optimizer(self.trial.rule, groups, **self.trial.settings)
        self.curved = self.optimizer if isinstance(self.optimizer, optim.CurvatureOptimizer) else None
        if self.curved is not None:
            self.curved.average_over(None)  # a trial is one process's own
        self.bases = bases(self.optimizer, self.trial.rule.hypers)
        self.follower = problem.follow()
        self.average = None if problem.average is None else Average(self.model, problem.average)
        self.unfreezing = start.unfreezing(self.model)
        self.device = next(self.model.parameters()).device
        self._open(0, [], [])

    def _open(self, at: int, losses: list[Tensor], counts: list[int], seen: Sequence[float] = ()) -> None:
        """Stand before step `at` of the next epoch."""
        trial, epoch = self.trial, self.epoch + 1
        self.at, self.losses, self.counts, self.seen = at, losses, counts, list(seen)
        # from the epoch's own seed, so that dropout draws the same whatever was drawn before
        self.draws: int | Generators = derive(trial.seed, "epoch", epoch)
        order = generator(derive(trial.seed, "order", epoch))
        self.follower.load(self.course.seen())
        size = self.follower.batch_size(self.epoch)
        if self.unfreezing is not None:
            self.unfreezing.step(self.epoch)
        self.batches = islice(self.problem.train.batches(size, self.device, order), at, None)

    def begin(self) -> None:
        with threads(self.problem):
            self.course.add(0, None, self._evaluate("valid"))

    def advance(self, pause: Pause) -> bool:
        with threads(self.problem), self._blamed():
            if not self._train(pause):
                return False
            if self.courses:
                self._close()
        return True

    def _close(self) -> None:
        """End the epoch with a point of the curve."""
        total = math.fsum(value * count for value, count in zip(self.seen, self.counts, strict=True))
        self.epoch += 1
        self._recalibrate()
        score = self._evaluate("valid")
        if not self.course.check(score, "validation", self.epoch):
            self._leave()
            return
        self.course.add(self.epoch, total / sum(self.counts), score)
        if out_of_patience(self, self.problem):
            self._leave()
        else:
            self._open(0, [], [])

    def _leave(self) -> None:
        self.left += self.courses
        self.courses = []

    def _train(self, pause: Pause) -> bool:
        with drawing(self.draws):
            started = perf_counter()
            try:
                for x, y in self.batches:
                    self.step(x, y)
                    if len(self.losses) == WATCHED and not self._watch():
                        return True
                    if pause():
                        self.draws = Generators.now()
                        return False
                self._watch()
            finally:
                self.course.seconds += perf_counter() - started
        return True

    def step(self, x: Tensor, y: Tensor) -> None:
        """Take a step on a batch."""
        x, y = augmented(self.problem, self.trial, x, y, self.epoch, self.at)
        value = self._gradients(x, y, estimated=True)
        if self.problem.schedule is not None:
            apply(self.optimizer, self.follower.factors(self.course.steps), self.bases)
        if self.course.steps % TIMED == 1:
            self._timed_step(x, y)
        else:
            self._step(x, y)
        if self.average is not None and self.course.steps < self.follower.steps:
            self.average.update(self.course.steps, self.follower.steps, self.follower.epoch_steps)
        self.course.steps += 1
        self.at += 1
        self.losses.append(value.detach())
        self.counts.append(len(y))

    def _gradients(self, x: Tensor, y: Tensor, estimated: bool = False) -> Tensor:
        """Compute the gradients of a batch, and the curvature where it is `estimated` and the rule is to read it."""
        value = self.loss(self.model(x), y)
        for p in self.parameters:
            p.grad = None
        if estimated and self.curved is not None and self.curved.estimate_due(self.course.steps):
            self._estimate(self.curved, value)
        lowered = value if self.penalty is None else value + self.penalty()
        lowered.backward()  # type: ignore[no-untyped-call]
        return value

    def _estimate(self, optimizer: optim.CurvatureOptimizer, value: Tensor) -> None:
        """Estimate the curvature: a part of the rule's steps, of which one in `TIMED` is timed."""
        synchronize(self.device)
        started = perf_counter()
        optimizer.estimate(value)
        synchronize(self.device)
        self.course.stepping += (perf_counter() - started) / TIMED

    def _step(self, x: Tensor, y: Tensor) -> None:
        """Step with the gradients that were computed, and, where the rule wants others, compute these too."""
        if self.trial.rule.climb is not None:
            self.optimizer.uphill(lambda: self._gradients(x, y))
        self.optimizer.step()

    def _timed_step(self, x: Tensor, y: Tensor) -> None:
        synchronize(self.device)
        started = perf_counter()
        self._step(x, y)
        synchronize(self.device)
        self.course.stepping += perf_counter() - started
        self.course.timed += 1

    def _watch(self) -> bool:
        """Read the losses that were not read yet; False at one that is out of bounds, which ends the trial."""
        if self.losses:
            first = self.course.steps - len(self.losses) + 1
            values = torch.stack(self.losses).tolist()
            self.seen += values
            self.losses = []
            if not all(self.course.watch(value, step, self.epoch + 1) for step, value in enumerate(values, first)):
                self._leave()
                return False
        return True

    def _evaluate(self, name: str) -> Score:
        with drawing(derive(self.trial.seed, "evaluate", name)), self._evaluating():
            return evaluate(self.model, self.problem, getattr(self.problem, name))

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """The model holds the weights to evaluate at: averages, where the problem or the rule has any."""
        with self.optimizer.evaluating(), nullcontext() if self.average is None else self.average.applied():
            yield

    def _recalibrate(self) -> None:
        """Give batch norms the statistics of the averaged weights."""
        if self.average is None:
            return
        seed = derive(self.trial.seed, "recalibrate", self.epoch)
        size = self.follower.batch_size(self.epoch - 1)
        with drawing(seed):
            batches = self.problem.train.batches(size, self.device, generator(seed))
            pairs = (self.problem.augmented(x, y, self.trial.own) for x, y in islice(batches, _RECALIBRATED))
            self.average.recalibrate(pairs)

    def take(self, lr: float) -> list[float]:
        rates = [base["lr"] for base in self.bases]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr * (rate / max(rates) if max(rates) else 1.0)
        with drawing(self.draws):
            batch = next(self.batches, None)
            if batch is not None:
                self.step(*batch)
                self.draws = Generators.now()
                return [float(self.losses.pop())]
        self.epoch += 1
        self._open(0, [], [])
        return self.take(lr)

    def drop(self, gone: Sequence[Course]) -> None:
        self.courses = [course for course in self.courses if course not in gone]

    def test(self) -> list[Score]:
        with threads(self.problem), self._blamed():
            return [self._evaluate("test")]
        return []

    def weights(self, of: Sequence[int] | None = None) -> list[Weights]:
        with self._evaluating():
            return [{name: value.detach().clone() for name, value in parameters_and_buffers(self.model).items()}]

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Take an exception of the model or the loss for divergence where the weights have left all bounds."""
        try:
            yield
        except Exception as error:
            if all(bool((p.detach().abs() < _HEALTHY_WEIGHT).all()) for p in self.parameters):
                raise
            cause = f"{type(error).__name__}: {error}"
            self.course.reason = f"the weights were no longer usable in epoch {self.epoch + 1} ({cause})"
            self._leave()

    def state(self) -> State:
        tensors = {f"model.{name}": value for name, value in parameters_and_buffers(self.model).items()}
        numbers = []
        for k, p in enumerate(self.parameters):
            kept = self.optimizer.state.get(p, {})
            tensors |= {f"state.{k}.{name}": value for name, value in kept.items() if isinstance(value, Tensor)}
            numbers.append({name: value for name, value in kept.items() if not isinstance(value, Tensor)})
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state().items()}
        if isinstance(self.draws, Generators):
            tensors |= {f"draws.{name}": value for name, value in self.draws.tensors().items()}
        losses = torch.stack(self.losses).tolist() if self.losses else []
        facts = {"epoch": self.epoch, "at": self.at, "seen": self.seen, "losses": losses, "counts": self.counts}
        return tensors, {**facts, "numbers": numbers}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        for name, value in parameters_and_buffers(self.model).items():
            value.copy_(tensors[f"model.{name}"])
        for k, (p, numbers) in enumerate(zip(self.parameters, facts["numbers"], strict=True)):
            states = {name.split(".", 2)[2]: value for name, value in tensors.items() if name.startswith(f"state.{k}.")}
            if states or numbers:
                self.optimizer.state[p] = {**{name: value.to(p.device) for name, value in states.items()}, **numbers}
        self.epoch = facts["epoch"]
        losses = [torch.tensor(value, dtype=torch.float64, device=self.device) for value in facts["losses"]]
        self._open(facts["at"], losses, facts["counts"], facts["seen"])
        if self.average is not None:
            self.average.load(under(tensors, "average."))
        draws = under(tensors, "draws.")
        if draws:
            self.draws = Generators.of(draws)


def warm(problem: Problem, trial: Trial) -> None:
    """Take one step of the rule on a model that is thrown away, so that no trial's clock sees it compiled."""
    course = Course(0, trial)
    with threads(problem), drawing(trial.seed):
        alone = Alone(problem, [course])
        alone.step(*next(alone.batches))
