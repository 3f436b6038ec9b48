"""Many trials of one model as one program: parameters carry a leading trial axis, one backward pass serves all.

A trial's initial weights, data order, dropout and augmentation come from its own seed, so its numbers do not depend on
who else is in the stack (but for the last bits of sums). A trial that diverges leaves, and the stack is compacted.
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
from torch.utils._pytree import tree_map

from ..kernels.stacked import StackedStepper
from ..problems import Arrays, Problem, derive, generator
from ..stacking import CannotStack, Draws, over_trials
from .alike import Shares, constant_buffers, dropout_shares, places
from .compiling import TOLERANCE, WORTH_COMPILING, compiled
from .course import Course
from .crew import TIMED, WATCHED, Pause, State, augmented, synchronize, threads
from .evaluate import Score, rows_without_gradients
from .replay import WORTH_RECORDING, CannotRecord, Replay
from .trial import Trial

_CALM, _SETTLED = 4, WATCHED
"""Steps without a trial leaving, after which the step is recorded, and compiled."""


class Stack:
    """A crew of trials whose models are alike (`alike.py`). Raises `CannotStack` where the model does not allow it."""

    def __init__(self, problem: Problem, courses: Sequence[Course], compile: bool = False) -> None:
        if not isinstance(problem.train, Arrays):
            raise CannotStack("its data come from a Dataset, one example at a time")
        self.problem, self.data = problem, problem.train
        self.courses = sorted(courses, key=lambda course: course.trial.rule.name)
        self.left: list[Course] = []
        self.epoch = 0
        trials = [course.trial for course in self.courses]
        models = {_which(trial): problem.build(trial.seed, trial.own) for trial in trials}
        self.skeleton = models[_which(trials[0])]
        chosen = [models[_which(trial)] for trial in trials]
        self.shares: Shares = dropout_shares(chosen)
        self.loss = problem.loss_of(trials[0].own)
        held = [dict([*model.named_parameters(), *model.named_buffers()]) for model in chosen]
        trained = {name for name, p in self.skeleton.named_parameters() if p.requires_grad}
        stacked = {name: torch.stack([tensors[name].detach() for tensors in held]) for name in held[0]}
        self.parameters = {name: value.requires_grad_() for name, value in stacked.items() if name in trained}
        same = constant_buffers(problem, trials[0], held)
        self.common = {name: held[0][name] for name in same}
        self.fixed = {name: value for name, value in stacked.items() if name not in trained and name not in same}
        self.places = places(self.skeleton, [*self.parameters, *self.fixed, *self.common], list(self.shares))
        self.device = next(iter(stacked.values())).device
        self.draws = Draws([trial.seed for trial in trials])
        self.used: list[str] = []
        self.steppers: list[tuple[slice, StackedStepper]] = []
        self.compiled = compile
        self.replays: dict[tuple[int, ...], Replay | None] = {}
        """By the shape of a batch."""
        self.undisturbed = 0
        """Steps since a trial left."""
        self._open(0)

    def _open(self, at: int) -> None:
        """Stand before step `at` of the next epoch, no loss of which is known."""
        self.at = at
        self.losses: list[Tensor] = []
        self.seen = np.empty((0, len(self.courses)))
        self.counts: list[int] = []
        seeds = list(dict.fromkeys(course.trial.seed for course in self.courses))
        orders = [generator(derive(seed, "order", self.epoch + 1)) for seed in seeds]
        self.orders = torch.stack([torch.randperm(len(self.data), generator=order) for order in orders])
        self.order_of = torch.tensor([seeds.index(course.trial.seed) for course in self.courses])
        if at == 0:
            self.draws.reseed([derive(course.trial.seed, "epoch", self.epoch + 1) for course in self.courses])

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
        if self.courses:
            self._open(0)

    def _train(self, pause: Pause) -> bool:
        size, count = self.problem.batch_size, len(self.data)
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
        losses, gradients = (self.replay(x, y) or self.gradients)(x, y)
        self._update(gradients)
        self.at += 1
        self.undisturbed += 1
        self.losses.append(losses)
        self.counts.append(high - low)
        for course in self.courses:
            course.steps += 1

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Every trial's loss on a batch, and its gradients by the names of the parameters."""
        losses, found = self.pure_step(list(self.parameters.values()), list(self.fixed.values()), x, y, self.draws)
        return losses, dict(zip(self.parameters, found, strict=True))

    def pure_step(
        self, parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, draws: Draws
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Losses and gradients of these parameters, on one backward pass for all."""
        axis = None if self._shared else 0
        held, axes = self._held(parameters, fixed)
        losses = over_trials(self._loss, (axis, axis, *axes), draws)(x, y, *held)
        # the gradient of their sum: trials do not meet, so it is each trial's own
        ones = torch.ones_like(losses)
        return losses.detach(), torch.autograd.grad(losses, list(parameters), ones, allow_unused=True)

    def replay(self, x: Tensor, y: Tensor) -> Replay | None:
        """The step recorded, where batches of this size are still to come for long; compiled where that is wanted."""
        size, shape = self.problem.batch_size, tuple(x.shape)
        if shape not in self.replays:
            whole = len(y if self._shared else y[0]) == size
            left = self.problem.epochs - self.epoch
            left = left * -(-len(self.data) // size) - self.at if whole else left
            compiling = self.compiled and whole and left >= WORTH_COMPILING
            if left < WORTH_RECORDING or self.undisturbed < (_SETTLED if compiling else _CALM):
                return None
            try:
                made = (compiled, TOLERANCE) if compiling else ()
                self.replays[shape] = Replay(self, x, y, *made)
            except CannotRecord:
                self.replays[shape] = None
        return self.replays[shape]

    @property
    def _shared(self) -> bool:
        """Whether all trials see the same batches."""
        return len(self.orders) == 1 and self.problem.augment is None

    def batch(self, low: int, high: int) -> tuple[Tensor, Tensor]:
        """The examples of a step: (examples, ...) where all trials see the same, else (trials, examples, ...)."""
        if self._shared:
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
            return taken.view(*indices.shape, *of.shape[1:]).to(self.device)

        return rows(self.data.x), rows(self.data.y)

    def _held(self, parameters: Sequence[Tensor], fixed: Sequence[Tensor]) -> tuple[list[Tensor], list[int | None]]:
        """All tensors of the models in the order of `places`, and their trial axes."""
        apart = [*parameters, *fixed]
        shares, common = list(self.shares.values()), list(self.common.values())
        return [*apart, *common, *shares], [0] * len(apart) + [None] * len(common) + [0] * len(shares)

    def _forward(self, x: Tensor, held: Sequence[Tensor]) -> Any:
        """The skeleton's outputs with these tensors in it; `functional_call` would take as long as a small model."""
        for where, value in zip(self.places, held, strict=True):
            for owner, key in where:
                owner[key] = value
        return self.skeleton(x)

    def _loss(self, x: Tensor, y: Tensor, *held: Tensor) -> Tensor:
        return self.loss(self._forward(x, held), y)

    def _update(self, gradients: Mapping[str, Tensor | None]) -> None:
        """Step every rule's trials by its kernel."""
        used = [name for name, g in gradients.items() if g is not None]
        if not self.steppers:
            self._equip(used)
        if used != self.used:
            raise CannotStack("which of its parameters have a gradient changes from step to step")
        timed = self.courses[0].steps % TIMED == 1
        for part, stepper in self.steppers:
            started = perf_counter()
            stepper.step([g[part] for name in used if (g := gradients[name]) is not None])
            if timed:
                synchronize(self.device)
                self._timed(part, perf_counter() - started)

    def _equip(self, used: Sequence[str]) -> None:
        """Make a stepper for every rule."""
        self.used = list(used)
        for part in _by_rule(self.courses):
            trials = [course.trial for course in self.courses[part]]
            stepper = StackedStepper(trials[0].rule, self._slices(part), [trial.settings for trial in trials])
            self.steppers.append((part, stepper))

    def _slices(self, part: slice) -> list[Tensor]:
        return [self.parameters[name].detach()[part] for name in self.used]

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
        _possible(values)
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
        size, count = self.problem.batch_size, len(self.data)
        if self.at * size >= count:
            self.epoch += 1
            self._open(0)
        losses, gradients = self.gradients(*self.batch(self.at * size, min(count, (self.at + 1) * size)))
        if not self.steppers:
            self._equip([name for name, g in gradients.items() if g is not None])
        for _, stepper in self.steppers:
            stepper.set("lr", lr)
        self._update(gradients)
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
        self.parameters = {name: p.detach()[kept].requires_grad_() for name, p in self.parameters.items()}
        self.fixed = {name: value[kept] for name, value in self.fixed.items()}
        self.shares = {name: value[kept] for name, value in self.shares.items()}
        self.losses = [losses[kept] for losses in self.losses]
        self.seen, self.order_of = self.seen[:, kept], self.order_of[kept]
        self.draws.keep(kept)
        self.replays, self.undisturbed = {}, 0
        if self.steppers:
            staying = [[k - part.start for k in kept if part.start <= k < part.stop] for part in before]
            steppers = [(s, rows) for (_, s), rows in zip(self.steppers, staying, strict=True) if rows]
            self.steppers = [(part, s) for part, (s, _) in zip(_by_rule(self.courses), steppers, strict=True)]
            for (part, stepper), (_, rows) in zip(self.steppers, steppers, strict=True):
                stepper.keep(rows, self._slices(part))

    def test(self) -> list[Score]:
        return self._evaluate("test")

    def _evaluate(self, name: str) -> list[Score]:
        self.draws.reseed([derive(course.trial.seed, "evaluate", name) for course in self.courses])
        split, rows = getattr(self.problem, name), rows_without_gradients(self.problem)
        sums = np.zeros((2, len(self.courses)))
        with threads(self.problem, len(self.courses)):
            for x, y in split.batches(rows, self.device):
                sums += self.scores(x, y) * len(y)
        return [Score(loss, metric) for loss, metric in (sums / len(split)).T.tolist()]

    @torch.no_grad()
    def scores(self, x: Tensor, y: Tensor) -> np.ndarray[Any, Any]:
        """Every trial's loss and metric on a batch, (2, trials)."""

        def one(*held: Tensor) -> tuple[Tensor, Any]:
            outputs = self._forward(x, held)
            return self.problem.loss(outputs, y), outputs

        self.skeleton.eval()
        held, axes = self._held(list(self.parameters.values()), list(self.fixed.values()))
        losses, outputs = over_trials(one, tuple(axes), self.draws)(*held)
        self.skeleton.train()
        return np.stack([_possible(losses.double().cpu().numpy()), self._metrics(outputs, y)])

    def _metrics(self, outputs: Any, y: Tensor) -> np.ndarray[Any, Any]:
        metric = self.problem.metric

        def one(outputs: Any) -> Tensor:
            return torch.as_tensor(metric.function(outputs, y)).mean(dtype=torch.float64)

        try:
            means: np.ndarray[Any, Any] = over_trials(one, 0)(outputs).cpu().numpy()
            return means
        except Exception:  # a metric may do what no stack can, and is cheap one by one
            each = (tree_map(lambda value, k=k: value[k], outputs) for k in range(len(self.courses)))
            return np.array([metric.mean(output, y) for output in each])

    def state(self) -> State:
        tensors = {f"parameters.{name}": value.detach() for name, value in self.parameters.items()}
        tensors |= {f"fixed.{name}": value for name, value in self.fixed.items()}
        for s, (_, stepper) in enumerate(self.steppers):
            tensors[f"rows.{s}"] = torch.from_numpy(stepper.rows)
            for i, states in enumerate(stepper.states):
                tensors |= {f"state.{s}.{i}.{name}": value for name, value in states.items()}
        tensors |= {f"draws.{name}": value for name, value in self.draws.state().items()}
        losses = torch.stack(self.losses).double() if self.losses else torch.empty(0, len(self.courses))
        tensors |= {"losses": losses, "seen": torch.from_numpy(self.seen)}
        facts = {"epoch": self.epoch, "at": self.at, "counts": self.counts, "undisturbed": self.undisturbed}
        return tensors, {**facts, "used": self.used}

    def load(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        with torch.no_grad():
            for kind, held in (("parameters", self.parameters), ("fixed", self.fixed)):
                for name, value in held.items():
                    value.copy_(tensors[f"{kind}.{name}"])
        self.epoch, self.undisturbed = facts["epoch"], facts["undisturbed"]
        self._open(facts["at"])
        self.counts, self.seen = facts["counts"], tensors["seen"].numpy()
        self.losses = list(tensors["losses"].to(self.device))
        if facts["used"]:
            self._equip(facts["used"])
        for s, (_, stepper) in enumerate(self.steppers):
            stepper.rows[:] = tensors[f"rows.{s}"].numpy()
            for i, states in enumerate(stepper.states):
                for name, value in states.items():
                    value.copy_(tensors[f"state.{s}.{i}.{name}"])
        draws = {name.removeprefix("draws."): value for name, value in tensors.items() if name.startswith("draws.")}
        self.draws.load(draws)


def _possible(losses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The losses; raises where one says that a target is none of the classes, which a trial alone explains."""
    if np.isneginf(losses).any():
        raise ValueError("a loss is infinitely low")
    return losses


def _which(trial: Trial) -> tuple[Any, ...]:
    """What a trial's initial model depends on."""
    return (trial.seed, *sorted(trial.own.items()))


def _by_rule(courses: Sequence[Course]) -> list[slice]:
    """Where the trials of each rule stand."""
    parts, start = [], 0
    for _, members in groupby(courses, key=lambda course: course.trial.rule.name):
        stop = start + len(list(members))
        parts.append(slice(start, stop))
        start = stop
    return parts
