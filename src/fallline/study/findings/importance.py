"""Which hyper-parameters mattered: what the search trials of one rule say, and how far they can be believed.

Beside the hyper-parameters the Gaussian process is given a dummy, a column of random numbers. A hyper-parameter is
said to have mattered where the interval of its relevance lies above that of the dummy (a random probe: Stoppiglia et
al. 2003), and above a share that is worth speaking of. Where few trials tell little, both intervals are wide and
nothing is said to matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec

import numpy as np

from ..result import Estimate, Importance, RuleResult, Slice, TrialRecord
from .axes import Axis, axes
from .kernel import Array
from .measures import MEASURES, measures
from .relevance import Fitted, Input, categorical, continuous, fit

FEWEST = 8
"""Trials below which nothing is said."""
SMALL = 0.02
"""A share of the score's variance that is not worth speaking of, however sure it is."""
MOST = 100
"""Trials that the Gaussian process is fitted to; of more, so many are drawn."""


def importance(rule: RuleResult) -> tuple[Importance, ...]:
    """The importance of every searched hyper-parameter, in the order of the search space; deterministic.

    A diverged trial counts as its untrained model, and no trial as worse than that; a pruned one counts with its last
    score. Below 8 trials, where all scores are equal, or where `fallline[search]` is not installed, a sentence says so
    in place of the measures.
    """
    found = axes(rule.rule, rule.own)
    trials = _looked_at(rule)
    scores = [_score(trial, rule.maximize) for trial in trials]
    cause = _nothing(scores)
    if cause or not found:
        return tuple(_unknown(axis, cause) for axis in found)
    places = [[axis.place(trial) for axis in found] for trial in trials]
    through = next(i for i, trial in enumerate(trials) if trial.number == _reference(rule, trials, scores))
    beside: Mapping[str, Sequence[Estimate | None]] = {name: [None] for name in MEASURES}
    with _one_thread():
        fitted = fit([*_inputs(found, places), _dummy(len(trials))], scores, through)
        if len(found) > 1:  # the one share of a sum of one says nothing
            beside = measures(found, places, scores, rule.maximize)
    dummy = _estimate(fitted.shares[:, -1])
    return tuple(
        _importance(axis, j, fitted, dummy, {name: each[j] for name, each in beside.items()})
        for j, axis in enumerate(found)
    )


def missing() -> str:
    """What to install for the measures, or nothing."""
    absent = [name for name, module in (("optuna", "optuna"), ("scikit-learn", "sklearn")) if _absent(module)]
    return f"this takes {' and '.join(absent)}: pip install 'fallline[search]'" if absent else ""


def _one_thread() -> AbstractContextManager[object]:
    """The matrices are so small that several threads only get in one another's way."""
    from threadpoolctl import threadpool_limits  # scikit-learn needs it too

    limited: AbstractContextManager[object] = threadpool_limits(1)
    return limited


def _absent(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ValueError:  # it was taken out of sys.modules by hand
        return True


def _nothing(scores: Sequence[float]) -> str:
    """Why nothing can be said, or nothing."""
    if len(scores) < FEWEST:
        return f"{len(scores)} trials are too few to tell; it takes {FEWEST}"
    if max(scores) - min(scores) <= 1e-9 * max(map(abs, scores)):
        return "all trials scored the same"
    return missing()


def _score(trial: TrialRecord, maximize: bool) -> float:
    """The trial's score; the untrained model's when that is better, or when there is none."""
    untrained, score = trial.curve[0].valid_metric, trial.score
    if not math.isfinite(score):
        return untrained
    if not math.isfinite(untrained):
        return score
    return max(score, untrained) if maximize else min(score, untrained)


def _looked_at(rule: RuleResult) -> list[TrialRecord]:
    """The trials with a score, by number; of many a part drawn at random, with the chosen one."""
    usable = [t for t in sorted(rule.search, key=lambda t: t.number) if math.isfinite(_score(t, rule.maximize))]
    if len(usable) <= MOST:
        return usable
    drawn = set(np.random.default_rng(0).choice(len(usable), size=MOST, replace=False).tolist())
    best = rule.best.number if rule.best is not None else None
    return [trial for i, trial in enumerate(usable) if i in drawn or trial.number == best]


def _reference(rule: RuleResult, trials: Sequence[TrialRecord], scores: Sequence[float]) -> int:
    """The number of the trial that the slices go through: the chosen one, else the one that scored best."""
    if rule.best is not None and any(trial.number == rule.best.number for trial in trials):
        return rule.best.number
    pick = max if rule.maximize else min
    return pick(zip(scores, trials, strict=True), key=lambda pair: pair[0])[1].number


def _inputs(found: Sequence[Axis], places: Sequence[Sequence[float]]) -> list[Input]:
    columns = list(zip(*places, strict=True))
    return [
        categorical([axis.category(at) for at in column], len(axis.categories))
        if axis.categories
        else continuous(column)
        for axis, column in zip(found, columns, strict=True)
    ]


def _dummy(count: int) -> Input:
    return continuous((np.random.default_rng(1).permutation(count) + 0.5) / count, points=1)


def _estimate(draws: Array) -> Estimate:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Estimate(float(np.mean(draws)), float(low), float(high), len(draws))


def _importance(
    axis: Axis, place: int, fitted: Fitted, dummy: Estimate, beside: Mapping[str, Estimate | None]
) -> Importance:
    relevance = _estimate(fitted.shares[:, place])
    matters = relevance.low > max(dummy.high, SMALL)
    return Importance(
        hyper=axis.name,
        own=axis.own,
        relevance=relevance,
        fanova=beside["fanova"],
        ped_anova=beside["ped_anova"],
        mean_decrease_impurity=beside["mean_decrease_impurity"],
        dummy=dummy,
        matters=matters,
        slice=_slice(axis, *fitted.slices[place]),
        sentence=_sentence(axis, relevance, dummy, matters),
    )


def _slice(axis: Axis, mean: Array, deviation: Array) -> Slice:
    count = len(axis.categories)
    at = [(i + 0.5) / count for i in range(count)] if count else np.linspace(0, 1, len(mean)).tolist()
    reach = 1.96 * deviation
    return Slice(tuple(at), *(tuple(map(float, line)) for line in (mean, mean - reach, mean + reach)))


def _sentence(axis: Axis, relevance: Estimate, dummy: Estimate, matters: bool) -> str:
    told = f"{relevance.mean:.0%} of the score's variance ({relevance.low:.0%} to {relevance.high:.0%})"
    if matters:
        return f"{axis.name} mattered: {told}, where random numbers get at most {max(dummy.high, SMALL):.0%}."
    return f"{axis.name} was not shown to matter: {told}, where random numbers get up to {dummy.high:.0%}."


def _unknown(axis: Axis, cause: str) -> Importance:
    return Importance(axis.name, axis.own, None, None, None, None, None, False, None, f"{axis.name}: {cause}.")
