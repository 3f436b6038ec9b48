"""Differences of the best rule to the others, in numbers and in a sentence each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..result import Difference, Estimate, RuleResult
from .measure import Measure
from .statistics import paired_difference, shown_together, spans_zero


def differences(ranked: Sequence[RuleResult], measure: Measure, step: float = 0.0) -> tuple[Difference, ...]:
    """The best rule's test metric minus each other one's, paired by seed, and which of them are shown.

    `step` is the distance of neighbouring scores (`statistics.mean_interval`).
    """
    if not ranked or not ranked[0].tuned:
        return ()
    first, others = ranked[0], [other for other in ranked[1:] if other.tuned]
    pairs = [_paired(first, other) for other in others]
    together = shown_together([[a - b for a, b in pair] for pair in pairs], step=step)
    found = []
    for other, pair, shown in zip(others, pairs, together, strict=True):
        if not pair:
            nothing = Estimate(math.nan, math.nan, math.nan, 0)
            sentence = f"{_open(first, other)}: no seed in common."
            found.append(Difference(first.name, other.name, nothing, False, sentence))
            continue
        estimate = paired_difference([a for a, _ in pair], [b for _, b in pair], step=step)
        difference = Difference(first.name, other.name, estimate, shown, "")
        found.append(Difference(first.name, other.name, estimate, shown, _sentence(first, other, difference, measure)))
    return tuple(found)


def _paired(first: RuleResult, second: RuleResult) -> list[tuple[float, float]]:
    """The test metrics of two rules at the seeds that both have."""
    ours, theirs = _by_seed(first), _by_seed(second)
    return [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]


def _by_seed(rule: RuleResult) -> Mapping[int, float]:
    return {trial.seed: trial.test_metric for trial in rule.tuned if trial.test_metric is not None}


def _sentence(first: RuleResult, second: RuleResult, difference: Difference, measure: Measure) -> str:
    estimate = difference.estimate
    if not estimate.has_interval:
        return f"{_open(first, second)}: one seed gives no interval."
    mean, low, high = measure.lead(difference)
    better, worse = first, second
    if difference.shown and mean < 0:  # seeds that the two do not share can put the worse of them first
        better, worse, (mean, low, high) = second, first, (-mean, -high, -low)
    unit = " points" if measure.percent else ""
    interval = f"95 % interval {low:.3g} to {high:.3g}{unit}, paired over {estimate.n} seeds"
    if not difference.shown:
        many = "" if spans_zero(estimate) else "; too little among so many differences"
        return f"{_open(first, second)} in test {measure.name} ({mean:.3g}{unit}; {interval}{many})."
    return f"{better.name} is better than {worse.name} by {mean:.3g}{unit} in test {measure.name} ({interval})."


def _open(first: RuleResult, second: RuleResult) -> str:
    return f"no difference shown between {first.name} and {second.name}"
