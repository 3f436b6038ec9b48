"""One trial, from the untrained model to its outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor, nn

from .. import optim
from ..problems import Problem, derive, generator, seeded
from .evaluate import Score, evaluate
from .trial import Outcome, Point, Trial

BOUND = 1e3
"""A loss above this many times the untrained model's (or 1, if that is more) counts as diverged."""

_WATCHED = 32
"""Steps between two looks at the losses: each look waits for the device."""
_TIMED = 8
"""Every so many steps the optimizer's own time is taken."""
_HEALTHY_WEIGHT = 1e8
"""A model that raises an exception has diverged if a weight is beyond this; otherwise it has an error."""
_SMALL_STEP = 1 << 19
"""Parameters times examples of a batch below which waking more threads costs more than they save."""


class Diverged(Exception):
    """Ends a trial's training; the text is the reason."""


@dataclass
class _Run:
    """What training has done so far."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]
    bound: float
    steps: int = 0
    seconds: float = 0.0
    step_samples: list[float] = field(default_factory=list)


def run(problem: Problem, trial: Trial, tell: Callable[[Point], None]) -> Outcome:
    """Train one trial. `tell` is called with every point of its curve."""
    with _threads(problem):
        model = problem.build(trial.seed)
        untrained = _evaluate(model, problem, "valid", trial)
        bound = BOUND * max(1.0, untrained.loss) if math.isfinite(untrained.loss) else math.inf
        state = _start(model, trial, bound)
    curve = [Point(0, 0, 0.0, None, *untrained)]
    tell(curve[0])
    reason, test = "", None
    try:
        for epoch in range(1, problem.epochs + 1):
            with _threads(problem), _blamed(state, epoch):
                loss = _epoch(problem, trial, state, epoch)
                score = _evaluate(model, problem, "valid", trial)
                _check(score, "validation", epoch, bound)
            curve.append(Point(epoch, state.steps, state.seconds, loss, *score))
            tell(curve[-1])
        if trial.kind != "search":
            with _threads(problem), _blamed(state, problem.epochs):
                test = _evaluate(model, problem, "test", trial)
                _check(test, "test", problem.epochs, bound)
    except Diverged as diverged:
        reason = str(diverged)
        if trial.kind != "search":
            test = _evaluate(problem.build(trial.seed), problem, "test", trial)
    return Outcome(
        state="diverged" if reason else "finished",
        reason=reason,
        curve=tuple(curve),
        steps=state.steps,
        seconds=state.seconds,
        step_seconds=_mean_step(state.step_samples),
        test_loss=test.loss if test else None,
        test_metric=test.metric if test else None,
    )


def warm(problem: Problem, trial: Trial) -> None:
    """Take one step of the rule on a model that is thrown away, so that no trial's clock sees it compiled."""
    with _threads(problem), seeded(trial.seed):
        model = problem.build(trial.seed)
        state = _start(model, trial, math.inf)
        x, y = next(problem.train.batches(problem.batch_size, _device(model)))
        problem.loss(model(x), y).backward()
        state.optimizer.step()


def _start(model: nn.Module, trial: Trial, bound: float) -> _Run:
    parameters = [p for p in model.parameters() if p.requires_grad]
    return _Run(model, optim.optimizer(trial.rule, parameters, **trial.settings), parameters, bound)


def _epoch(problem: Problem, trial: Trial, state: _Run, epoch: int) -> float:
    """Train for one pass over the training data; returns the mean loss over its examples."""
    model, optimizer, parameters, loss = state.model, state.optimizer, state.parameters, problem.loss
    device = _device(model)
    losses: list[Tensor] = []
    counts: list[int] = []
    seen: list[float] = []
    order = generator(derive(trial.seed, "order", epoch))
    # from the epoch's own seed, so that dropout draws the same whatever was drawn before (and after a resume)
    with seeded(derive(trial.seed, "epoch", epoch)):
        started = perf_counter()
        try:
            for x, y in problem.train.batches(problem.batch_size, device, order):
                value = loss(model(x), y)
                for p in parameters:
                    p.grad = None
                value.backward()
                if state.steps % _TIMED == 0:
                    state.step_samples.append(_timed(optimizer, device))
                else:
                    optimizer.step()
                state.steps += 1
                losses.append(value.detach())
                counts.append(len(y))
                if len(losses) - len(seen) == _WATCHED:
                    _watch(losses, seen, state, epoch)
            _watch(losses, seen, state, epoch)
        finally:
            state.seconds += perf_counter() - started
    return math.fsum(value * count for value, count in zip(seen, counts, strict=True)) / sum(counts)


def _watch(losses: list[Tensor], seen: list[float], state: _Run, epoch: int) -> None:
    """Read the losses that were not read yet. Raises `Diverged` at the first that is out of bounds."""
    if len(losses) == len(seen):
        return
    first = state.steps - (len(losses) - len(seen)) + 1
    values = torch.stack(losses[len(seen) :]).tolist()
    for step, value in enumerate(values, first):
        if not abs(value) <= state.bound:
            raise Diverged(_reason("training", value, f"at step {step} (epoch {epoch})", state.bound))
    seen += values


def _check(score: Score, data: str, epoch: int, bound: float) -> None:
    if not abs(score.loss) <= bound:
        raise Diverged(_reason(data, score.loss, f"after epoch {epoch}", bound))
    if not math.isfinite(score.metric):
        raise Diverged(f"the {data} metric was {score.metric} after epoch {epoch}")


def _reason(data: str, loss: float, when: str, bound: float) -> str:
    if math.isnan(loss):
        return f"the {data} loss was not a number (NaN) {when}"
    if math.isinf(loss):
        return f"the {data} loss was infinite {when}"
    return f"the {data} loss was {loss:.3g} {when}, above the bound of {bound:.3g}"


@contextmanager
def _blamed(state: _Run, epoch: int) -> Iterator[None]:
    """Take an exception of the model or the loss for divergence where the weights have left all bounds."""
    try:
        yield
    except (Diverged, KeyboardInterrupt):
        raise
    except Exception as error:
        if all(bool((p.detach().abs() < _HEALTHY_WEIGHT).all()) for p in state.parameters):
            raise
        raise Diverged(
            f"the weights were no longer usable in epoch {epoch} ({type(error).__name__}: {error})"
        ) from error


def _evaluate(model: nn.Module, problem: Problem, name: str, trial: Trial) -> Score:
    with seeded(derive(trial.seed, "evaluate", name)):
        return evaluate(model, problem, getattr(problem, name))


def _timed(optimizer: torch.optim.Optimizer, device: torch.device) -> float:
    """Take a step; seconds it took."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = perf_counter()
    optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - started


def _mean_step(samples: list[float]) -> float:
    """Seconds; the first step of a trial makes the states and is left out where there are others."""
    later = samples[1:] or samples
    return math.fsum(later) / len(later) if later else 0.0


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


@contextmanager
def _threads(problem: Problem) -> Iterator[None]:
    """One thread for a tiny model: chosen by size, never by the clock, on which no number may depend."""
    before = torch.get_num_threads()
    if before == 1 or problem.parameters_count * problem.batch_size > _SMALL_STEP:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
