"""SGDR against a rate that falls in steps: error at any time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fallline import Problem
from fallline.rules import get
from fallline.training import Outcome, Trial

from ..claim import Source, claim
from ..finding import Finding, Range, above, measured, percent, points
from ..lab import Lab, examples

Array = np.ndarray

RULE = "l2(nesterov)"
SETTINGS = {"momentum": 0.9, "l2": 5e-4}


@claim(
    number=9,
    title="Warm restarts reach the same error in 2 to 4 times fewer epochs",
    paper="Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983, section 4",
    figures="2 to 4 times fewer epochs; 3.74 % error on CIFAR-10, 18.70 % on CIFAR-100 with T0 = 10, Tmult = 2",
    source=Source.PAPER,
    smoke={"seeds": 2, "epochs": 3, "period": 1, "rates": (0.05,)},
)
def warm_restarts(
    lab: Lab, seeds: int = 6, epochs: int = 150, period: int = 10, rates: tuple[float, ...] = (0.05, 0.1)
) -> list[Finding]:
    """The CNN of MNIST-1D, Nesterov momentum 0.9, l2 5*10^-4, 150 epochs: cosines that restart (T0 = 10, Tmult = 2, so
    that the last ends with the run) and a rate divided by 5 at 30, 60 and 80 % of it, each at the better of the paper's
    two rates, 0.05 and 0.1. Error on the 1,800 held-out signals after every epoch. The target is the step schedule's
    mean error in its last tenth, seed by seed; a run that never reaches it counts as if it did an epoch after the
    end."""
    problem = _watched(lab.problem("mnist1d_cnn"), epochs)
    schedules = {"steps": "multi_step(30%, 60%, 80%, factor=0.2)", "restarts": f"restarts({period} epochs, mult=2)"}
    tail = slice(-max(1, epochs // 10), None)
    errors = {}
    for name, text in schedules.items():
        by_rate = [_train(lab, f"{name}_{rate}", problem.scheduled(text), seeds, rate) for rate in rates]
        errors[name] = min(by_rate, key=lambda each: each[:, tail].mean())
    targets = errors["steps"][:, tail].mean(1)
    first = {name: list(map(_first, each, targets)) for name, each in errors.items()}
    ratios = [steps / restarts for steps, restarts in zip(first["steps"], first["restarts"], strict=True)]
    ends = {name: each[:, -1].tolist() for name, each in errors.items()}
    _draw(lab, errors)
    return [
        measured("epochs to the target, by steps", first["steps"]),
        measured("epochs to the target, by restarts", first["restarts"]),
        measured("the first over the second", ratios, above(1), "times"),
        measured("the same, as many as claimed", ratios, Range(2, 4), "times"),
        percent("restarts that reach the target", [float(epoch <= epochs) for epoch in first["restarts"]]),
        percent("error at the end, by steps", ends["steps"]),
        percent("error at the end, by restarts", ends["restarts"]),
        points("error at the end, restarts minus steps", ends["restarts"], ends["steps"], None),
    ]


def _train(lab: Lab, name: str, problem: Problem, seeds: int, rate: float) -> Array:
    """Errors after every epoch, (seeds, epochs)."""
    trials = [Trial(get(RULE), {"lr": rate, **SETTINGS}, seed, "tuned", seed) for seed in range(seeds)]
    return _errors(lab.train(name, problem, trials), problem.epochs)


def _watched(whole: Problem, epochs: int) -> Problem:
    """The problem with all that is not trained on to watch the error at."""
    valid, test = examples(whole.valid), examples(whole.test)
    held_out = [torch.cat(pair) for pair in zip(valid, test, strict=True)]
    return Problem(whole.model, examples(whole.train), held_out, test, batch_size=100, epochs=epochs)


def _errors(outcomes: Sequence[Outcome], epochs: int) -> Array:
    """(seeds, epochs): of a diverged trial, the error of the untrained model."""
    rows = [[1 - point.valid_metric for point in outcome.curve] for outcome in outcomes]
    return np.array([[*row[1:], *[row[0]] * (epochs + 1 - len(row))] for row in rows])


def _first(curve: Array, goal: float) -> int:
    """The first epoch, from 1, with an error no larger."""
    reached = np.flatnonzero(curve <= goal)
    return int(reached[0]) + 1 if len(reached) else len(curve) + 1


def _draw(lab: Lab, errors: dict[str, Array]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for name, each in errors.items():
        axes.plot(range(1, each.shape[1] + 1), 100 * each.mean(0), label=name)
    axes.set(xlabel="epochs", ylabel="error, %, mean over seeds", yscale="log")
    axes.legend()
    lab.picture("warm_restarts", figure)
