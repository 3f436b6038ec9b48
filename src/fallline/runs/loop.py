"""The training loop of one run: epoch after epoch, stoppable between any two updates.

Whatever costs time beside training happens at a *look*, every `WATCHED` updates or every second: losses are read back,
progress is shown, signals and checkpoints are seen to.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from time import perf_counter

import torch
from torch import Tensor

from ..problems import derive
from ..schedules import apply, bases
from ..training import Score
from ..training.crew import WATCHED, threads
from ..training.randomness import Generators, drawing
from .assembly import Parts
from .checkpoint import Checkpoints
from .history import History, Row
from .loggers import Tell
from .progress import Watch
from .result import State
from .scoring import Scoring
from .state import state
from .stop import Stop

_SECONDS = 1.0
"""Between two looks, at most, where updates take long."""


@dataclass
class Sinks:
    """Where a loop puts what others read."""

    history: History
    checkpoints: Checkpoints
    watch: Watch


class Loop:
    """A run in training. `state` says how it ended."""

    def __init__(self, parts: Parts, sinks: Sinks, tell: Tell) -> None:
        self.parts, self.sinks, self.tell = parts, sinks, tell
        self.state: State = "interrupted"
        self.epoch = 0
        self.scoring = Scoring(parts)
        self._base = bases(parts.optimizer, parts.course.trial.rule.hypers)
        self._scheduled = bool(parts.follower.factors(0))
        self._stride = WATCHED
        self.open(0, [], [])

    def open(self, at: int, seen: list[float], counts: list[int], draws: Generators | None = None) -> None:
        """Stand before update `at` of the next epoch, of which these losses of batches of so many were seen."""
        self.at, self.seen, self.counts = at, seen, counts
        self._losses: list[Tensor] = []
        rank = self.parts.peers.share.rank
        # from the epoch's own seed, so that dropout draws the same whatever was drawn before
        start = derive(self.parts.course.trial.seed, "epoch", self.epoch + 1, *([rank] if rank else []))
        self.draws: int | Generators = start if draws is None else draws

    def set_as_after_an_update(self) -> None:
        """Give a fresh optimizer the scheduled settings of the last update: scores may depend on them."""
        follower = self.parts.follower
        taken = follower.first_step(self.epoch) + self.at
        if self._scheduled and taken:
            apply(self.parts.optimizer, follower.factors(taken - 1), self._base)

    def run(self, stop: Stop) -> None:
        """Train to the end, or to where somebody stops it."""
        parts = self.parts
        with threads(parts.problem):
            if not parts.course.curve:
                self._point(None, self.scoring.score("valid"), 0.0)
            while not self.over():
                if self._train(stop):
                    self._close()
                elif not parts.course.reason:
                    break
            self.save()

    def over(self) -> bool:
        """Whether the run has come to its end, which `state` then tells."""
        parts = self.parts
        if parts.course.reason:
            self.state = "diverged"
        elif self.epoch == parts.epochs:
            self.state = "finished"
        elif parts.best.over:
            self.state = "stopped early"
        return self.state != "interrupted"

    def _train(self, stop: Stop) -> bool:
        """Train to the end of the epoch; False where it diverges or is stopped on the way."""
        parts = self.parts
        if parts.unfreezing is not None:
            parts.unfreezing.step(self.epoch)
        size, examples = parts.follower.batch_size(self.epoch), len(parts.problem.train)
        first, steps = parts.follower.first_step(self.epoch), parts.follower.steps
        epoch_steps = parts.follower.epoch_steps
        factors, update, average, alone = parts.follower.factors, parts.update, parts.average, parts.peers.alone
        with drawing(self.draws):
            self._began = self._looked = perf_counter()
            try:
                for x, y in parts.feed.batches(self.epoch, size, self.at):
                    whole = min(size, examples - self.at * size)
                    if self._scheduled:
                        apply(parts.optimizer, factors(first + self.at), self._base)
                    self._losses.append(update(x, y, whole, first + self.at))
                    if average is not None:
                        average.update(first + self.at, steps, epoch_steps)
                    self.counts.append(whole)
                    self.at += 1
                    looks = len(self._losses) >= self._stride
                    if alone and (stop.asked or perf_counter() - self._looked > _SECONDS):
                        looks = True
                    if looks and not self._look(stop):
                        return False
                return self._read()
            finally:
                self._count_time()

    def _look(self, stop: Stop) -> bool:
        """See to losses, signals and checkpoints; False at a loss that is out of bounds, or where somebody stops."""
        peers, checkpoints = self.parts.peers, self.sinks.checkpoints
        if not self._read():
            return False
        asked, due = peers.sums([float(bool(stop.asked)), float(peers.first and checkpoints.due())])
        if asked or due:
            self.draws = Generators.now()
        if due and not asked:
            self._count_time()
            self.save()
        return not asked

    def _count_time(self) -> None:
        now = perf_counter()
        self.parts.course.seconds += now - self._began
        self._began = now

    def _read(self) -> bool:
        """Read the losses that were not read yet; False at one that is out of bounds."""
        if not self._losses:
            return True
        parts, course = self.parts, self.parts.course
        counts = self.counts[-len(self._losses) :]
        values = self._means(torch.stack(self._losses).tolist(), counts)
        self._losses = []
        self.seen += values
        first = course.steps + 1
        course.steps += len(values)
        now = perf_counter()
        took, self._looked = max(now - self._looked, 1e-9), now
        if not parts.peers.alone:
            wanted = min(WATCHED, max(1, round(len(values) * _SECONDS / took)))
            self._stride = round(parts.peers.as_first([wanted])[0])
        self.sinks.watch.steps(self.epoch + 1, course.steps, values[-1], self._lr(), sum(counts) / took)
        return all(course.watch(value, step, self.epoch + 1) for step, value in enumerate(values, first))

    def _means(self, values: list[float], counts: list[int]) -> list[float]:
        """The mean loss of each batch over all processes, of the means over their shares."""
        peers = self.parts.peers
        if peers.alone:
            return values
        own = map(peers.share.examples, counts)
        sums = peers.sums([value * n if n else 0.0 for value, n in zip(values, own, strict=True)])
        return [value / count for value, count in zip(sums, counts, strict=True)]

    def _close(self) -> None:
        """End the epoch: score, remember the best, tell, and keep a checkpoint where it is time."""
        parts, course = self.parts, self.parts.course
        self.scoring.recalibrate(self.epoch)
        score = self.scoring.score("valid")
        if not course.check(score, "validation", self.epoch + 1):
            return
        self.epoch += 1
        examples = sum(self.counts)
        loss = math.fsum(value * count for value, count in zip(self.seen, self.counts, strict=True)) / examples
        self._point(loss, score, examples)
        parts.follower.observe(self.epoch - 1, score.loss)
        keeps = parts.keeps_best and parts.best.better(score.metric, score.loss)
        with self.scoring.evaluating() if keeps else nullcontext():
            parts.best.step(score.metric, parts.model if keeps else None, loss=score.loss)
        self.open(0, [], [])
        if parts.peers.any(parts.peers.first and self.sinks.checkpoints.due()):
            self.save()

    def _point(self, loss: float | None, score: Score, examples: float) -> None:
        course, rows = self.parts.course, self.sinks.history.rows
        point = course.add(self.epoch, loss, score)
        took = point.seconds - (rows[-1].seconds if rows else 0.0)
        size = self.parts.follower.batch_size(max(0, self.epoch - 1))
        row = Row(
            **asdict(point), lr=self._lr(), batch_size=size, examples_per_second=examples / took if took else None
        )
        # before the next checkpoint: whatever rows that holds were told
        self.sinks.history.add(row)
        self.sinks.watch.epoch(row)
        self.tell(row)

    def save(self) -> None:
        """Write a checkpoint; all processes take part."""
        parts = self.parts
        tensors, facts = state(self)
        if parts.peers.first:
            failed = self.sinks.checkpoints.save(tensors, facts, parts.best.weights)
            if failed:
                self.sinks.watch.say(failed)

    def _lr(self) -> float | None:
        rate = self.parts.optimizer.param_groups[-1].get("lr")
        return None if rate is None else float(rate)
