"""Averages of weights against the last iterate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from fallline import Problem
from fallline.rules import get
from fallline.training import Outcome, Trial

from ..claim import Source, claim
from ..finding import Finding, above, percent, points
from ..lab import Lab, tested

AVERAGES = {"EMA": "ema(0.99)", "Polyak": "polyak(start=50%)", "SWA": "swa(start=75%)"}


@claim(
    number=21,
    title="Averaging weights beats the last iterate",
    paper="Izmailov et al. 2018, Averaging weights leads to wider optima, arXiv:1803.05407, table 1; Polyak & "
    "Juditsky 1992",
    figures="VGG-16 on CIFAR-100: 72.55 % by SGD, 73.91 % by SWA at the same budget",
    source=Source.PAPER,
    smoke={"seeds": 2, "epochs": 1, "rates": (0.05,)},
)
def averaged_weights(
    lab: Lab, seeds: int = 8, epochs: int = 40, rates: tuple[float, ...] = (0.05, 0.1, 0.2)
) -> list[Finding]:
    """The CNN of MNIST-1D, momentum 0.9, 40 epochs, test accuracy. The last iterate with the rate constant and with one
    that falls linearly to zero (annealed), each at the best of three rates by validation accuracy. With the rate
    constant, at the same rate: an exponential average (0.99), Polyak's from half of the run on, and SWA over its last
    quarter. Each average against the last iterate of its own run, and against the annealed run, which took as long."""
    problem = lab.problem("mnist1d_cnn")
    problem.epochs = epochs
    constant = problem.scheduled("constant")
    rate, last = _best(lab, "constant", constant, seeds, rates)
    _, annealed = _best(lab, "annealed", problem.scheduled("linear"), seeds, rates)
    runs = {"last": last, "annealed": annealed}
    for name, average in AVERAGES.items():
        runs[name] = _train(lab, name, constant.averaged(average), seeds, rate)
    accuracy = {name: tested(each) for name, each in runs.items()}
    step = 1 / len(problem.test)
    return [
        *(percent(f"test accuracy, {name}", values, step=step) for name, values in accuracy.items()),
        *(
            points(f"{name} minus {other}", accuracy[name], accuracy[other], above(0), step)
            for other in ("last", "annealed")
            for name in AVERAGES
        ),
    ]


def _best(lab: Lab, name: str, problem: Problem, seeds: int, rates: Sequence[float]) -> tuple[float, list[Outcome]]:
    """The rate that is best on validation data, and its runs."""
    by_rate: Mapping[float, list[Outcome]] = {
        rate: _train(lab, f"{name}_{rate}", problem, seeds, rate) for rate in rates
    }
    best = max(by_rate, key=lambda rate: fmean(run.curve[-1].valid_metric for run in by_rate[rate]))
    return best, by_rate[best]


def _train(lab: Lab, name: str, problem: Problem, seeds: int, rate: float) -> list[Outcome]:
    trials = [Trial(get("momentum"), {"lr": rate}, seed, "tuned", seed) for seed in range(seeds)]
    return lab.train(name, problem, trials)
