"""Snapshots of one run with a cyclic rate, as an ensemble."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fallline import Problem, ensembles

from ..claim import Source, claim
from ..finding import Finding, above, percent, points
from ..lab import Lab


@claim(
    number=10,
    title="Snapshots of one run make an ensemble for free",
    paper="Huang et al. 2017, Snapshot ensembles, arXiv:1704.00109, section 4",
    figures="DenseNet, B = 200 epochs, M = 5: 3.4 % error on CIFAR-10, 17.4 % on CIFAR-100",
    source=Source.PAPER,
    smoke={"seeds": 2, "epochs": 2, "members": 2},
)
def snapshot_ensembles(lab: Lab, seeds: int = 6, epochs: int = 100, members: int = 5) -> list[Finding]:
    """The CNN of MNIST-1D, momentum 0.9, lr 0.05, test accuracy: snapshots at the ends of M = 5 cosine cycles in
    B = 100 epochs; against one run of B epochs on one cosine (the mean of the long ones), M independent runs of B/M
    epochs each (short: as much training in all), and M of B epochs each (long: M times as much)."""
    problem = lab.problem("mnist1d_cnn")
    ways: dict[str, Callable[..., ensembles.Ensemble]] = {
        "snapshots": partial(ensembles.snapshot, epochs=epochs),
        "short": partial(ensembles.independent, epochs=epochs // members, schedule="cosine"),
        "long": partial(ensembles.independent, epochs=epochs, schedule="cosine"),
    }
    scores = {
        name: [lab.part(f"{name}_{k}", partial(_score, way, problem, members, k * members)) for k in range(seeds)]
        for name, way in ways.items()
    }
    together = {name: [each["ensemble"] for each in found] for name, found in scores.items()}
    single = [each["mean"] for each in scores["long"]]
    step = 1 / len(problem.test)
    return [
        percent("one run", single, step=step / members),
        percent("the last snapshot alone", [each["last"] for each in scores["snapshots"]], step=step),
        *(percent(f"ensemble of {name}", accuracies, step=step) for name, accuracies in together.items()),
        points("snapshots minus one run", together["snapshots"], single, above(0), step),
        points("snapshots minus short", together["snapshots"], together["short"], None, step),
        points("snapshots minus long", together["snapshots"], together["long"], None, step),
        percent("snapshots that disagree, of two", [each["disagreement"] for each in scores["snapshots"]]),
        percent("independent runs that disagree, of two", [each["disagreement"] for each in scores["long"]]),
    ]


def _score(way: Callable[..., ensembles.Ensemble], problem: Problem, members: int, seed: int) -> dict[str, float]:
    """Test accuracies of an ensemble, of its members on average, and of the last one."""
    ensemble = way(problem, members, rule="momentum", settings={"lr": 0.05}, seed=seed)
    if not ensemble.complete:
        raise KeyboardInterrupt
    scores = ensemble.score(problem)
    return {
        "ensemble": scores.ensemble.metric,
        "mean": scores.mean.metric,
        "last": scores.members[-1].metric,
        "disagreement": scores.diversity.disagreement,
    }
