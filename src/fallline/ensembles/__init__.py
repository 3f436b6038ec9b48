"""Ensembles: several models that predict together, and how to come by them cheaply.

A kind of ensemble is a plan: which runs are trained, and after which updates their weights are taken as members. The
end of runs from several seeds (`independent`), the ends of a cyclic rate's cycles (`snapshot`), the minima of short
cycles late in training (`fge`): everything else is one thing for all of them.

    ensemble = ensembles.snapshot("digits", 5)
    ensemble.predict(x)                            # the mean of probabilities, (n, classes)
    scores = ensemble.score(problem)               # members and ensemble on test data
    scores.diversity.disagreement, scores.calibration.ece, scores.calibration.reliability
    ensemble.save("five"); Ensemble.load("five", problem)

- models of your own: `Ensemble([a, b, c], Combination("softmax"))`, `Ensemble.of(problem, [a, b, c])`;
- one model from several, at the cost of one: `soups.uniform(checkpoints)`, `soups.greedy(checkpoints, score)`;
- from the command line: `fallline ensemble digits --kind snapshot --members 5`, and `fallline soup digits a.safetensors
  b.safetensors`.

A new kind is one decorated function in `kinds.py`. A text gives its options: `train(problem, kind="fge(low=0.05)")`.
"""

from __future__ import annotations

from . import soups
from .calibration import Bin, Calibration
from .combine import Combination
from .diversity import Diversity
from .ensemble import Ensemble
from .grow import fge, independent, snapshot, train
from .score import Scores

__all__ = [
    "Bin",
    "Calibration",
    "Combination",
    "Diversity",
    "Ensemble",
    "Scores",
    "fge",
    "independent",
    "snapshot",
    "soups",
    "train",
]
