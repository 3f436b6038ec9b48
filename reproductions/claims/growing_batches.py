"""A batch that grows in place of a rate that falls."""

from __future__ import annotations

import math
from statistics import fmean

from fallline.rules import get
from fallline.training import Outcome, Trial

from ..claim import Source, claim
from ..finding import Finding, Range, above, exactly, measured, percent, points
from ..lab import Lab, tested


@claim(
    number=11,
    title="Growing the batch equals decaying the rate, in fewer updates",
    paper="Smith, Kindermans, Ying & Le 2018, Don't decay the learning rate, arXiv:1711.00489",
    figures="the same curves at a factor of 5 at three points; ResNet-50 to 76.1 % on ImageNet in 30 minutes",
    source=Source.PAPER,
    smoke={"seeds": 2, "epochs": 4},
)
def growing_batches(lab: Lab, seeds: int = 12, epochs: int = 40) -> list[Finding]:
    """The CNN of MNIST-1D, momentum 0.9, lr 0.05, 40 epochs, batches of 25 from the start. At 30, 60 and 80 % of the
    run the rate is divided by 5, or the batch multiplied by it, or (to show what there is to see) neither. Equal means:
    test accuracy within 1 point, and training losses after the first change within a tenth, on average over epochs."""
    whole = lab.problem("mnist1d_cnn")
    whole.batch_size, whole.epochs = 25, epochs
    points_of_change = "30%, 60%, 80%"
    problems = {
        "decay": whole.scheduled(f"multi_step({points_of_change}, factor=0.2)"),
        "growth": whole.scheduled(f"batch_growth({points_of_change}, factor=5)"),
        "neither": whole.scheduled("constant"),
    }
    trials = [Trial(get("momentum"), {"lr": 0.05}, seed, "tuned", seed) for seed in range(seeds)]
    runs = {name: lab.train(name, problem, trials) for name, problem in problems.items()}
    accuracy = {name: tested(each) for name, each in runs.items()}
    changed = round(0.3 * epochs) + 1
    ratios = [_ratio(*pair, changed) for pair in zip(runs["growth"], runs["decay"], strict=True)]
    steps = {name: problem.follow().steps for name, problem in problems.items()}
    one = 1 / len(whole.test)
    return [
        exactly("updates by decay", steps["decay"]),
        exactly("updates by growth", steps["growth"]),
        exactly("the first over the second", steps["decay"] / steps["growth"], above(1), "times"),
        *(percent(f"test accuracy, {name}", accuracy[name], step=one) for name in runs),
        points("test accuracy, growth minus decay", accuracy["growth"], accuracy["decay"], Range(-1, 1), one),
        measured("training loss, growth over decay", ratios, Range(0.9, 1.1)),
        points("test accuracy, decay minus neither", accuracy["decay"], accuracy["neither"], None, one),
    ]


def _ratio(first: Outcome, second: Outcome, epoch: int) -> float:
    """The mean ratio of two runs' training losses from an epoch on; infinite where one of them diverged."""
    if first.state != "finished" or second.state != "finished":
        return math.inf
    pairs = zip(first.curve[epoch:], second.curve[epoch:], strict=True)
    return fmean((a.train_loss or 0.0) / (b.train_loss or math.inf) for a, b in pairs)
