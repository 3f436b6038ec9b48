"""Optuna's measures of importance, each with an interval from trials drawn anew.

fANOVA (Hutter et al. 2014): the share of a random forest's variance over the search range that an input explains
alone. Mean decrease impurity (Louppe et al. 2013): the share of the forest's splits' gain that falls to it. PED-ANOVA
(Watanabe et al. 2023, arXiv:2304.10255): how far the best trials' values stand apart from all trials' values.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.stats import t as student

from ..result import Estimate
from .axes import Axis

MEASURES = ("fanova", "ped_anova", "mean_decrease_impurity")
_RESAMPLES = 8
_TREES = {"fanova": 3, "mean_decrease_impurity": 4}  # in the forest of one resample
_MOST = 32  # trials in a resample: a forest's time for fANOVA grows faster than its trials


def measures(
    axes: Sequence[Axis], places: Sequence[Sequence[float]], scores: Sequence[float], maximize: bool, seed: int = 0
) -> dict[str, list[Estimate]]:
    """Each measure's value for every axis, as a share of all axes' sum; mean over resamples of the trials.

    `places` are the positions of the trials (trials x axes). The 95 % interval is the bootstrap's standard error
    times Student's quantile (Efron & Tibshirani 1993, section 12.3), cut at 0 and 1. Of more than 32 trials a resample
    holds 32, so that the interval is the wider one of so many trials.
    """
    import optuna

    rng = np.random.default_rng(seed)
    with _quiet(optuna):
        trials = _trials(optuna, axes, places, scores)
        found: dict[str, list[list[float]]] = {name: [] for name in MEASURES}
        for number in range(_RESAMPLES):
            drawn = rng.choice(len(trials), size=min(len(trials), _MOST))
            study = optuna.create_study(
                storage=optuna.storages.InMemoryStorage(), direction="maximize" if maximize else "minimize"
            )
            study.add_trials([trials[i] for i in drawn])
            for name, evaluator in _evaluators(optuna, len(drawn), number).items():
                shares = _shares(optuna, study, evaluator)
                found[name].append([shares.get(axis.name, 0.0) for axis in axes])
    return {name: [_estimate(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}


def _shares(optuna: Any, study: Any, evaluator: Any) -> dict[str, float]:
    try:
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except RuntimeError:  # no tree of the forest saw two different scores
        return {}
    return {name: float(share) for name, share in shares.items()}


def _estimate(values: Sequence[float]) -> Estimate:
    mean = math.fsum(values) / len(values)
    reach = float(np.std(values, ddof=1) * student.ppf(0.975, len(values) - 1))
    return Estimate(mean, max(mean - reach, 0.0), min(mean + reach, 1.0), len(values))


def _trials(optuna: Any, axes: Sequence[Axis], places: Sequence[Sequence[float]], scores: Sequence[float]) -> list[Any]:
    """The trials by their positions, so that every measure weighs a range as the search did."""
    unit = optuna.distributions.FloatDistribution(0, 1)
    spaces = {
        axis.name: optuna.distributions.CategoricalDistribution(range(len(axis.categories)))
        if axis.categories
        else unit
        for axis in axes
    }
    rows = [{axis.name: _own(axis, place) for axis, place in zip(axes, row, strict=True)} for row in places]
    return [
        optuna.trial.create_trial(params=row, distributions=spaces, value=score)
        for row, score in zip(rows, scores, strict=True)
    ]


def _own(axis: Axis, place: float) -> float | int:
    return axis.category(place) if axis.categories else place


def _evaluators(optuna: Any, trials: int, seed: int) -> Mapping[str, Any]:
    kinds = optuna.importance
    # PED-ANOVA wants five trials or more among the best
    return {
        "fanova": kinds.FanovaImportanceEvaluator(n_trees=_TREES["fanova"], seed=seed),
        "ped_anova": kinds.PedAnovaImportanceEvaluator(target_quantile=min(max(0.1, 5 / trials), 0.5)),
        "mean_decrease_impurity": kinds.MeanDecreaseImpurityImportanceEvaluator(
            n_trees=_TREES["mean_decrease_impurity"], seed=seed
        ),
    }


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna tells of every study that it makes, and warns of measures that are new."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
