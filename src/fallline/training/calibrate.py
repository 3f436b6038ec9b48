"""How to train a study's trials, measured on its own problem: stacked, how wide, or one by one on every core."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor

from ..problems import Problem
from ..rules import get
from ..stacking import CannotStack
from . import alone
from .alike import ONE_BY_ONE, signature, stackable
from .alone import Alone
from .compiling import TOLERANCE, compiled, has_compiler
from .course import Course
from .crew import at_most, threads
from .execution import Execution
from .memory import Memory
from .randomness import drawing
from .replay import CannotRecord, Replay
from .stack import Stack
from .trial import Trial

_UNWANTED = "stacking was switched off"
_WIDTHS = (8, 32, 128, 512)
_ENOUGH = 0.97
"""A wider stack is preferred where it is at least this fast: fewer are left over at the end."""
_SECONDS = 0.03
"""Spent on measuring a step of each width, at least three steps."""
_WORTH_PROCESSES = 20.0
"""Seconds of training below which starting more processes costs more than they save."""
_WORTH_COMPILING = 600.0
"""Seconds of stacked training below which trying the compiler costs more than it saves."""
_FASTER = 1.15
"""How many times faster what is measured must be to be chosen in place of what is usual."""
_OTHER = 1e-3
"""Share by which a loss or a gradient may differ between a stack and a trial alone."""


def calibrate(
    problem: Problem,
    trials: Sequence[Trial],
    *,
    memory: int | None = None,
    stack: Literal["auto", "off"] | int = "auto",
    processes: int | None = None,
) -> Execution:
    """How to train these trials fastest, by trials a second and within `memory` bytes (default: half of what is free).

    `stack` is "auto", "off", or the number of trials in a stack; `processes` bounds the processes for trials that are
    not stacked (default: one for each core).
    """
    group = _largest_group(problem, trials)
    if stack == "off" or len(group) < 2 or stack == 1:
        unwanted = stack in ("off", 1)
        return _unstacked(problem, trials, processes, _UNWANTED if unwanted else "" if group else ONE_BY_ONE)
    alone.warm(problem, trials[0])
    try:
        _agree(problem, group)
        widths = [width for width in _WIDTHS if width < len(group)] + [len(group)] if stack == "auto" else [int(stack)]
        widths = Memory(problem, group, memory).allowed(widths)
        if not widths:
            return _unstacked(problem, trials, processes, "there is not enough memory for two trials in a stack")
        if stack != "auto":
            return Execution(width=widths[-1])
        rates = _rates(problem, group, widths)
    except CannotStack as error:
        return _unstacked(problem, trials, processes, str(error).removeprefix("the trials cannot be stacked: "))
    except Exception as error:  # whatever a model does in a stack; its own mistakes show again when it trains alone
        return _unstacked(problem, trials, processes, f"in a stack the model raises {type(error).__name__}: {error}")
    best = max(rates.values())
    single, cores = 1 / _step_alone(problem, group[0]), _cores(problem, trials, processes)
    if best <= single * cores:
        told = f"one by one on {cores} processes" if cores > 1 else "one by one"
        reason = f"stacking does not pay here ({best:.0f} trial steps a second stacked, {single * cores:.0f} {told})"
        return _unstacked(problem, trials, processes, reason)
    width = max(width for width, rate in rates.items() if rate >= _ENOUGH * best)
    seconds = len(trials) * problem.follow().steps / rates[width]
    compile = seconds > _WORTH_COMPILING and _compiles(problem, group[:width], rates[width])
    hindered = not compile and _hindered(problem, group, width, rates[width])
    return Execution(width, compiled=compile, threads=int(hindered))


def _hindered(problem: Problem, trials: Sequence[Trial], width: int, rate: float) -> bool:
    """Whether one thread is faster than all, twice: where others use the cores, threads wait for each other."""
    for _ in range(2):
        with at_most(1):
            single = _rates(problem, trials, [width])[width]
        if single < _FASTER * rate:
            return False
        rate = _rates(problem, trials, [width])[width]
    return single > _FASTER * rate


def _compiles(problem: Problem, trials: Sequence[Trial], rate: float) -> bool:
    """Whether PyTorch's compiler is there, takes the stacked step, and makes it faster by far."""
    if not has_compiler():
        return False
    crew = Stack(problem, [Course(k, trial) for k, trial in enumerate(trials)])
    batch = crew.batch(0, min(problem.batch_size, len(problem.train)))
    with threads(problem, len(trials)):
        try:
            program = Replay(crew.models, *batch, compiled, TOLERANCE)
        except CannotRecord:
            return False
        return len(trials) / _seconds(lambda: program(*batch)) > _FASTER * rate


def _largest_group(problem: Problem, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that could share one stack, of the commonest shape."""
    by_shape: dict[str, list[Trial]] = {}
    for trial in filter(stackable, trials):
        by_shape.setdefault(signature(problem, trial), []).append(trial)
    return max(by_shape.values(), key=len, default=[])


def _unstacked(problem: Problem, trials: Sequence[Trial], processes: int | None, reason: str) -> Execution:
    return Execution(1, _cores(problem, trials, processes), reason=reason)


def _cores(problem: Problem, trials: Sequence[Trial], processes: int | None) -> int:
    """How many processes to train on, were trials trained one by one."""
    if processes is not None:
        return min(processes, len(trials))
    steps = problem.follow().steps
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1 or len(trials) < 2 or not _on_cpu(problem):
        return 1
    worth = len(trials) * steps * _step_alone(problem, trials[0]) > _WORTH_PROCESSES
    return min(cores, len(trials)) if worth else 1


def _on_cpu(problem: Problem) -> bool:
    return next(problem.build(0).parameters()).device.type == "cpu"


def _step_alone(problem: Problem, trial: Trial) -> float:
    """Seconds of a step of a trial by itself, on one thread."""
    with at_most(1), drawing(0):
        crew = Alone(problem, [Course(0, trial)])
        x, y = next(crew.batches)
        return _seconds(lambda: crew.step(x, y))


def _rates(problem: Problem, trials: Sequence[Trial], widths: Sequence[int]) -> dict[int, float]:
    """Trial steps a second in stacks of these widths, up to where a wider one is no faster."""
    rates: dict[int, float] = {}
    for width in widths:
        crew = Stack(problem, [Course(k, trial) for k, trial in enumerate(trials[:width])])
        size = min(problem.batch_size, len(problem.train))
        with threads(problem, width):
            rates[width] = width / _seconds(partial(crew.step, 0, size))
        if rates[width] < 0.8 * max(rates.values()):
            break
    return rates


def _seconds(step: Callable[[], object]) -> float:
    """Seconds of a step, the fastest of a few after the first."""
    step()
    times: list[float] = []
    while len(times) < 3 or sum(times) < _SECONDS:
        began = perf_counter()
        step()
        times.append(perf_counter() - began)
    return min(times)


def _agree(problem: Problem, trials: Sequence[Trial]) -> None:
    """Raise `CannotStack` where a stack of two, of different seeds, finds other losses or gradients than each alone."""
    # by a plain rule: others may take the gradient at another point
    pair = [Trial(get("sgd"), {}, seed, "search", own=trial.own) for trial, seed in ((trials[0], 1), (trials[-1], 2))]
    stack = Stack(problem, [Course(k, trial) for k, trial in enumerate(pair)])
    x, y = next(problem.valid.batches(problem.batch_size, stack.models.device))
    scores = stack.models.scores(x, y)
    losses, gradients = stack.models.gradients(*stack.batch(0, min(problem.batch_size, len(problem.train))))
    for k, course in enumerate(stack.courses):
        single = Alone(problem, [course])
        with torch.no_grad():
            score = float(problem.loss(single.model.eval()(x), y))
        single.model.train()
        single.advance(lambda: True)
        found = {"loss": losses[k], "validation loss": torch.tensor(scores[0, k])}
        found |= {f"gradient of {name}": g[k] for name, g in gradients.items() if g is not None}
        found |= {name: value[k] for name, value in stack.models.fixed.items()} | stack.models.common
        expected = {"loss": single.losses[0], "validation loss": torch.tensor(score)}
        expected |= {f"gradient of {name}": p.grad for name, p in single.model.named_parameters() if p.grad is not None}
        expected |= dict(single.model.named_buffers())
        wrong = [name for name, value in expected.items() if not _close(found.get(name), value)]
        if wrong:
            raise CannotStack(f"a stacked trial would have another {wrong[0]} than the trial alone.")


def _close(found: Tensor | None, expected: Tensor) -> bool:
    if found is None or not expected.is_floating_point():
        return found is not None and bool((found == expected).all())
    difference = (found.double() - expected.double()).abs().nan_to_num().max()
    return bool(difference <= _OTHER * expected.double().abs().nan_to_num().max() + 1e-6)
