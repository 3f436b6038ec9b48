"""Many trials trained as one program, a row of hyper-parameters and a random stream for each.

A trial's initial weights, data order, dropout and augmentation come from its own seed, so its numbers do not depend on
who else is in the stack (but for the last bits of sums). A trial that ends early leaves, and the stack is compacted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..averages import StackedAverage
from ..kernels.stacked import StackedStepper
from ..problems import Arrays, Problem, derive, generator
from ..stacking import CannotStack
from ..tensors import under
from .alike import ONE_BY_ONE, stackable
from .compiling import TOLERANCE, WORTH_COMPILING, compiled
from .course import Course
from .crew import TIMED, WATCHED, Pause, State, augmented, out_of_patience, synchronize, threads
from .evaluate import Score, rows_without_gradients
from .following import follow
from .models import Models, possible
from .replay import WORTH_RECORDING, CannotRecord, Replay
from .snapshots import Weights

Gradients = Mapping[str, Tensor | None]
"""Of every parameter by name."""

_CALM, _SETTLED = 4, WATCHED
"""Steps without a trial leaving, after which the step is recorded, and compiled."""


class Stack:
    """A crew of trials whose models are alike (`alike.py`). Raises `CannotStack` where the model does not allow it."""

    def __init__(self, problem: Problem, courses: Sequence[Course], compile: bool = False) -> None:
        if not isinstance(problem.train, Arrays):
            raise CannotStack("the data come from a Dataset, one example at a time.")
        if not all(stackable(course.trial) for course in courses):
            raise CannotStack(f"{ONE_BY_ONE}.")
        if problem.start is not None and problem.start.by_layer:
            raise CannotStack("layers learn at rates, or from epochs on, of their own.")
        self.problem, self.data = problem, problem.train
        self.courses = sorted(courses, key=lambda course: course.trial.rule.name)
        self.left: list[Course] = []
        self.epoch = 0
        trials = [course.trial for course in self.courses]
        self.shared = len({trial.seed for trial in trials}) == 1 and problem.augment is None
        """Whether all trials see the same batches."""
        self.models = Models(problem, trials, self.shared)
        self.used: list[str] = []
        self.steppers: list[tuple[slice, StackedStepper]] = []
        self.compiled = compile
        self.replays: dict[tuple[int, ...], Replay | None] = {}
        """By the shape of a batch."""
        self.undisturbed = 0
        """Steps since a trial left."""
        self.follower = problem.follow()
        self.average = None if problem.average is None else StackedAverage(problem.average, self.models.parameters)
        if self.average is not None and any(name.endswith("running_mean") for name in self.models.fixed):
            raise CannotStack("batch norms learn the statistics of averaged weights in one model at a time.")
        self._open(0)

    def _open(self, at: int) -> None:
        """Stand before step `at` of the next epoch, no loss of which is known."""
        self.at = at
        self.size = self.follower.batch_size(self.epoch)
        self.losses: list[Tensor] = []
        self.seen = np.empty((0, len(self.courses)))
        self.counts: list[int] = []
        seeds = list(dict.fromkeys(course.trial.seed for course in self.courses))
        orders = [generator(derive(seed, "order", self.epoch + 1)) for seed in seeds]
        self.orders = torch.stack([torch.randperm(len(self.data), generator=order) for order in orders])
        self.order_of = torch.tensor([seeds.index(course.trial.seed) for course in self.courses])
        if at == 0:
            self.models.draws.reseed([derive(course.trial.seed, "epoch", self.epoch + 1) for course in self.courses])

    def begin(self) -> None:
        for course, score in zip(self.courses, self._evaluate("valid"), strict=True):
            course.add(0, None, score)
        self._open(0)

    def advance(self, pause: Pause) -> bool:
        with threads(self.problem, len(self.courses)):
            if not self._train(pause):
                return False
            if self.courses:
                self._close()
        return True

    def _close(self) -> None:
        """End the epoch with a point of every trial's curve."""
        self.epoch += 1
        scores = self._evaluate("valid")
        totals = [math.fsum(losses) for losses in (self.seen * np.array(self.counts)[:, None]).T]
        bad = []
        for course, total, score in zip(self.courses, totals, scores, strict=True):
            if course.check(score, "validation", self.epoch):
                course.add(self.epoch, total / sum(self.counts), score)
            else:
                bad.append(course)
        self._leave(bad)
        self._leave(out_of_patience(self, self.problem))
        if self.courses:
            self._open(0)

    def _train(self, pause: Pause) -> bool:
        size, count = self.size, len(self.data)
        began, first = perf_counter(), self.at
        try:
            while self.courses and self.at * size < count:
                self.step(self.at * size, min(count, (self.at + 1) * size))
                if len(self.losses) == WATCHED:
                    began, first = self._charge(began, first)
                    self._watch()
                if pause():
                    return False
            began, first = self._charge(began, first)
            self._watch()
        finally:
            self._charge(began, first)
        return True

    def step(self, low: int, high: int) -> None:
        """Take a step on the examples from `low` to `high` of the epoch's order."""
        x, y = self.batch(low, high)
        losses, gradients = (self.replay(x, y) or self.models.gradients)(x, y)
        self._update(self._uphill(gradients, x, y))
        run = self.follower
        if self.average is not None and self.courses[0].steps < run.steps:
            self.average.update(self.models.parameters, self.courses[0].steps, run.steps, run.epoch_steps)
        self.at += 1
        self.undisturbed += 1
        self.losses.append(losses)
        self.counts.append(high - low)
        for course in self.courses:
            course.steps += 1

    def replay(self, x: Tensor, y: Tensor) -> Replay | None:
        """The step recorded, where batches of this size are still to come for long; compiled where that is wanted."""
        shape = tuple(x.shape)
        if shape not in self.replays:
            whole = len(y if self.shared else y[0]) == self.size
            sizes = map(self.follower.batch_size, range(self.epoch, self.problem.epochs))
            left = sum(size == self.size for size in sizes)
            left = left * -(-len(self.data) // self.size) - self.at if whole else left
            compiling = self.compiled and whole and left >= WORTH_COMPILING
            if left < WORTH_RECORDING or self.undisturbed < (_SETTLED if compiling else _CALM):
                return None
            try:
                made = (compiled, TOLERANCE) if compiling else ()
                self.replays[shape] = Replay(self.models, x, y, *made)
            except CannotRecord:
                self.replays[shape] = None
        return self.replays[shape]

    def batch(self, low: int, high: int) -> tuple[Tensor, Tensor]:
        """The examples of a step: (examples, ...) where all trials see the same, else (trials, examples, ...)."""
        if self.shared:
            return self._take(self.orders[0, low:high])
        x, y = self._take(self.orders[:, low:high][self.order_of])
        if self.problem.augment is None:
            return x, y
        made = [
            augmented(self.problem, course.trial, x[k], y[k], self.epoch, self.at)
            for k, course in enumerate(self.courses)
        ]
        return torch.stack([x for x, _ in made]), torch.stack([y for _, y in made])

    def _take(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        def rows(of: Tensor) -> Tensor:
            taken = of.index_select(0, indices.reshape(-1).to(of.device))
            return taken.view(*indices.shape, *of.shape[1:]).to(self.models.device)

        return rows(self.data.x), rows(self.data.y)

    def _uphill(self, gradients: Gradients, x: Tensor, y: Tensor) -> Gradients:
        """The gradients where the rules want them: in a stack all climb somewhere first, or none does (`alike.py`)."""
        if self.courses[0].trial.rule.climb is None:
            return gradients
        started = perf_counter()
        used = [name for name, g in gradients.items() if g is not None]
        climbs = []
        for part in _by_rule(self.courses):
            trials = [course.trial for course in self.courses[part]]
            rule, settings = trials[0].rule.climb, [trial.settings for trial in trials]
            assert rule is not None
            climb = StackedStepper(rule, self._slices(part, used), settings)
            climb.step([g[part] for g in gradients.values() if g is not None])
            climbs.append(climb)
        _, found = (self.replay(x, y) or self.models.gradients)(x, y)
        for climb in climbs:
            for p, kept in zip(climb.parameters, climb.states, strict=True):
                p.copy_(kept["origin"])
        if self.courses[0].steps % TIMED == 1:
            for course in self.courses:
                course.stepping += (perf_counter() - started) / len(self.courses)
        return found

    def _update(self, gradients: Gradients) -> None:
        """Step every rule's trials by its kernel."""
        used = [name for name, g in gradients.items() if g is not None]
        if not self.steppers:
            self._equip(used)
        if used != self.used:
            raise CannotStack("which of the parameters have a gradient changes from step to step.")
        if self.problem.schedule is not None:
            follow(self.follower, self.courses, self.steppers)
        timed = self.courses[0].steps % TIMED == 1
        for part, stepper in self.steppers:
            started = perf_counter()
            stepper.step([g[part] for name in used if (g := gradients[name]) is not None])
            if timed:
                synchronize(self.models.device)
                self._timed(part, perf_counter() - started)

    def _equip(self, used: Sequence[str]) -> None:
        """Make a stepper for every rule."""
        self.used = list(used)
        for part in _by_rule(self.courses):
            trials = [course.trial for course in self.courses[part]]
            stepper = StackedStepper(trials[0].rule, self._slices(part, used), [trial.settings for trial in trials])
            self.steppers.append((part, stepper))

    def _slices(self, part: slice, used: Sequence[str]) -> list[Tensor]:
        return [self.models.parameters[name].detach()[part] for name in used]

    def _timed(self, part: slice, seconds: float) -> None:
        courses = self.courses[part]
        for course in courses:
            course.stepping += seconds / len(courses)
            course.timed += 1

    def _charge(self, began: float, first: int) -> tuple[float, int]:
        """Share out the time since `began`, when step `first` was next: the rule's own steps apart, equally."""
        now = perf_counter()
        steps = self.at - first
        own = [steps * course.stepping / max(1, course.timed) for course in self.courses]
        rest = max(0.0, now - began - sum(own)) / max(1, len(own))
        for course, stepping in zip(self.courses, own, strict=True):
            course.seconds += rest + stepping if steps else 0.0
        return now, self.at

    def _watch(self) -> None:
        """Read the losses that were not read yet; trials with one out of bounds leave."""
        if not self.losses:
            return
        values = torch.stack(self.losses).cpu().double().numpy()
        self.losses = []
        possible(values)
        self.seen = np.concatenate([self.seen, values])
        first = self.courses[0].steps - len(values) + 1
        bounds = np.array([course.bound for course in self.courses])
        bad = []
        for k in np.flatnonzero(~(np.abs(values) <= bounds).all(0)):
            step = int(np.argmax(~(np.abs(values[:, k]) <= bounds[k])))
            self.courses[k].watch(float(values[step, k]), first + step, self.epoch + 1)
            self.courses[k].steps = first + len(values) - 1
            bad.append(self.courses[k])
        self._leave(bad)

    def _leave(self, bad: Sequence[Course]) -> None:
        self.left += bad
        self.drop(bad)

    def take(self, lr: float) -> list[float]:
        size, count = self.size, len(self.data)
        if self.at * size >= count:
            self.epoch += 1
            self._open(0)
        x, y = self.batch(self.at * size, min(count, (self.at + 1) * size))
        losses, gradients = self.models.gradients(x, y)
        if not self.steppers:
            self._equip([name for name, g in gradients.items() if g is not None])
        for _, stepper in self.steppers:
            stepper.set("lr", lr)
        self._update(self._uphill(gradients, x, y))
        self.at += 1
        taken: list[float] = losses.tolist()
        return taken

    def drop(self, gone: Sequence[Course]) -> None:
        if not gone:
            return
        out = {id(course) for course in gone}
        kept = [k for k, course in enumerate(self.courses) if id(course) not in out]
        before = _by_rule(self.courses)
        self.courses = [self.courses[k] for k in kept]
        self.models.keep(kept)
        if self.average is not None:
            self.average.keep(kept)
        self.losses = [losses[kept] for losses in self.losses]
        self.seen, self.order_of = self.seen[:, kept], self.order_of[kept]
        self.replays, self.undisturbed = {}, 0
        if self.steppers:
            staying = [[k - part.start for k in kept if part.start <= k < part.stop] for part in before]
            steppers = [(s, rows) for (_, s), rows in zip(self.steppers, staying, strict=True) if rows]
            self.steppers = [(part, s) for part, (s, _) in zip(_by_rule(self.courses), steppers, strict=True)]
            for (part, stepper), (_, rows) in zip(self.steppers, steppers, strict=True):
                stepper.keep(rows, self._slices(part, self.used))

    def test(self) -> list[Score]:
        return self._evaluate("test")

    def _evaluate(self, name: str) -> list[Score]:
        self.models.draws.reseed([derive(course.trial.seed, "evaluate", name) for course in self.courses])
        split, rows = getattr(self.problem, name), rows_without_gradients(self.problem)
        sums = np.zeros((2, len(self.courses)))
        at = self._evaluated()
        with threads(self.problem, len(self.courses)):
            for x, y in split.batches(rows, self.models.device):
                sums += self.models.scores(x, y, at) * len(y)
        return [Score(loss, metric) for loss, metric in (sums / len(split)).T.tolist()]

    def _evaluated(self) -> dict[str, Tensor] | None:
        """The parameters to evaluate at, where the problem or any rule has others than are trained."""
        if self.average is not None and self.average.count:
            return self.average.averages
        elsewhere = [(part, stepper) for part, stepper in self.steppers if stepper.evaluates_elsewhere]
        if not elsewhere:
            return None
        at = {name: p.detach() for name, p in self.models.parameters.items()}
        at |= {name: at[name].clone() for name in self.used}
        for part, stepper in elsewhere:
            for name, weights in zip(self.used, stepper.evaluated(), strict=True):
                at[name][part] = weights
        return at

    def weights(self, of: Sequence[int] | None = None) -> list[Weights]:
        return self.models.weights(self._evaluated(), of)

    def state(self) -> State:
        tensors = self.models.state()
        for s, (_, stepper) in enumerate(self.steppers):
            tensors[f"rows.{s}"] = torch.from_numpy(stepper.rows)
            for i, states in enumerate(stepper.states):
                tensors |= {f"state.{s}.{i}.{name}": value for name, value in states.items()}
        if self.average is not None:
            tensors |= {f"average.{name}": value for name, value in self.average.state().items()}
        losses = torch.stack(self.losses).double() if self.losses else torch.empty(0, len(self.courses))
        tensors |= {"losses": losses, "seen": torch.from_numpy(self.seen)}
        facts = {"epoch": self.epoch, "at": self.at, "counts": self.counts, "undisturbed": self.undisturbed}
        return tensors, {**facts, "used": self.used, "shared": self.shared}

    def load(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.epoch, self.undisturbed = facts["epoch"], facts["undisturbed"]
        self.shared = self.models.shared_batches = facts["shared"]
        self._open(facts["at"])
        self.counts, self.seen = facts["counts"], tensors["seen"].numpy()
        self.losses = list(tensors["losses"].to(self.models.device))
        if facts["used"]:
            self._equip(facts["used"])
        for s, (_, stepper) in enumerate(self.steppers):
            stepper.rows[:] = tensors[f"rows.{s}"].numpy()
            for i, states in enumerate(stepper.states):
                for name, value in states.items():
                    value.copy_(tensors[f"state.{s}.{i}.{name}"])
        if self.average is not None:
            self.average.load(under(tensors, "average."))
        self.models.load(tensors)


def _by_rule(courses: Sequence[Course]) -> list[slice]:
    """Where the trials of each rule stand."""
    parts, start = [], 0
    for _, members in groupby(courses, key=lambda course: course.trial.rule.name):
        stop = start + len(list(members))
        parts.append(slice(start, stop))
        start = stop
    return parts
