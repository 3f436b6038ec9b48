"""Means with intervals, paired differences, and the expected best of a search: pure functions of the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from ..result import Estimate

Array = NDArray[np.float64]

_EXACT = 8  # up to here every resample is counted (6435 kinds of them), beyond it they are drawn
_DRAWS = 20_000


def mean_interval(values: Sequence[float], level: float = 0.95, step: float = 0.0) -> Estimate:
    """The mean and its bootstrap interval at `level`, the same at every call.

    The percentile interval of the resampled means is drawn out from the mean by sqrt(n / (n - 1)) * t / z. Those are
    the two corrections of the expanded percentile interval (Hesterberg 2015, arXiv:1411.5279), for the
    spread that a resample lacks and for its estimation, but applied to the interval's length and not to its tail
    level: for five values or fewer the latter cannot leave the range of the values, which covers the mean of two 50 %
    of the time. For two values, whose percentiles are the values themselves at any level, it is Student's interval.

    `step` is the distance of neighbouring values where others are not possible: one example's share of an accuracy, the
    ratio of neighbours on a grid. The interval is then at least that of values which fall on either of two neighbours
    (standard deviation step / 2), since equal values on a coarse scale are no certainty.

    One value, or a value that is not finite, allows no interval: its ends are NaN. Raises `ValueError` for no values.
    """
    data = np.sort(np.asarray(values, dtype=np.float64))  # sorted, so that the order of the values does not matter
    n = len(data)
    if n == 0:
        raise ValueError("an interval needs at least one value")
    if not np.isfinite(data).all():
        return Estimate(sum(data.tolist()) / n, math.nan, math.nan, n)
    mean = min(max(math.fsum(data) / n, float(data[0])), float(data[-1]))
    if n == 1:
        return Estimate(mean, math.nan, math.nan, 1)
    t, z = float(student.ppf((1 + level) / 2, n - 1)), float(norm.ppf((1 + level) / 2))
    low = high = mean
    if data[0] < data[-1]:
        low, high = _percentiles(data, (1 - level) / 2)
    stretch = t if n == 2 else math.sqrt(n / (n - 1)) * t / z
    least = t * step / 2 / math.sqrt(n)
    return Estimate(mean, mean - max(stretch * (mean - low), least), mean + max(stretch * (high - mean), least), n)


def paired_difference(
    first: Sequence[float], second: Sequence[float], level: float = 0.95, step: float = 0.0
) -> Estimate:
    """The mean of `first[i] - second[i]` with its interval. Raises `ValueError` when the lengths differ."""
    return mean_interval([a - b for a, b in zip(first, second, strict=True)], level, step)


def shown_together(differences: Sequence[Sequence[float]], level: float = 0.95, step: float = 0.0) -> tuple[bool, ...]:
    """Which of the leader's paired differences to the other rules, one sequence each, are there all at once.

    Of nine equal rules the luckiest leads, and some interval of its leads leaves zero out in half of all comparisons.
    Here the chance that any of equal rules is told apart is at most 1 - level: the p-values of Student's paired test
    are corrected by Holm's step-down (Holm 1979, Scandinavian Journal of Statistics 6, pp. 65-70) in the family of all
    pairs of rules, since the leader was chosen by the same numbers. A single difference is judged by its interval.
    """
    apart = [not spans_zero(mean_interval(values, level, step)) if values else False for values in differences]
    if len(differences) < 2:
        return tuple(apart)
    pairs = len(differences) * (len(differences) + 1) // 2
    adjusted = holm([student_p(values, step) for values in differences], pairs)
    return tuple(each and p <= 1 - level for each, p in zip(apart, adjusted, strict=True))


def student_p(differences: Sequence[float], step: float = 0.0) -> float:
    """The two-sided p-value of Student's paired test that the mean difference is zero; `step` as in `mean_interval`.

    1 where there are fewer than two values, or one that is not finite.
    """
    data = np.asarray(differences, dtype=np.float64)
    n = len(data)
    if n < 2 or not np.isfinite(data).all():
        return 1.0
    mean, spread = abs(math.fsum(data) / n), max(float(data.std(ddof=1)), step / 2)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * student.sf(mean / spread * math.sqrt(n), n - 1))


def holm(p_values: Sequence[float], family: int) -> tuple[float, ...]:
    """P-values corrected by Holm's step-down in a `family` of tests, of which those not given count as not rejected."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (family - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def spans_zero(estimate: Estimate) -> bool:
    """Whether the interval leaves the sign open; true also when there is no interval."""
    return not (estimate.low > 0 or estimate.high < 0)


def expected_best(values: Sequence[float], maximize: bool) -> tuple[float, ...]:
    """The expected best of b of the values drawn without replacement, for b = 1 ... n.

    The mean over all subsets of size b of the subset's best, by order statistics: the k-th worst of n values is the
    best of C(k - 1, b - 1) of the C(n, b) subsets. NaN counts as the worst value.
    """
    worst = -math.inf if maximize else math.inf
    best_first = np.array(sorted((worst if math.isnan(v) else float(v) for v in values), reverse=maximize))
    n = len(best_first)
    return tuple(_expected_best(best_first, budget, n) for budget in range(1, n + 1))


def _expected_best(best_first: Array, budget: int, n: int) -> float:
    # The best value of all has the weight budget / n, and each next one's follows from the one before it.
    k = np.arange(n, budget, -1)
    weights = budget / n * np.cumprod(np.concatenate([[1.0], (k - budget) / (k - 1)]))
    weights = weights[weights > 0]  # so that infinity times a weight that has vanished is not NaN
    counted = best_first[: len(weights)]
    with np.errstate(invalid="ignore"):  # values infinite in both directions have no mean: NaN
        return float(np.clip(weights @ counted, counted.min(), counted.max()))


def _percentiles(data: Array, tail: float) -> tuple[float, float]:
    """The ends that leave a share `tail` of the resampled means below and above."""
    shares, weights = _resamples(len(data))
    means = shares @ data
    order = np.argsort(means, kind="stable")
    means, weights = means[order], weights[order]
    low = np.searchsorted(np.cumsum(weights), tail * (1 - 1e-9))
    high = np.searchsorted(np.cumsum(weights[::-1]), tail * (1 - 1e-9))
    return float(means[low]), float(means[::-1][high])


@lru_cache(maxsize=16)
def _resamples(n: int) -> tuple[Array, Array]:
    """Bootstrap resamples of n values: each value's share in them (a row a resample) and each row's probability."""
    if n > _EXACT:
        draws = np.random.default_rng(n).multinomial(n, np.full(n, 1 / n), size=_DRAWS // 2)
        draws = np.concatenate([draws, draws[:, ::-1]])  # so that turning all signs turns the interval, exactly
        return draws / n, np.full(_DRAWS, 1 / _DRAWS)
    chosen = np.array(list(combinations_with_replacement(range(n), n)))
    counts = (chosen[:, :, None] == np.arange(n)).sum(axis=1)
    factorial = np.array([math.factorial(k) for k in range(n + 1)], dtype=np.float64)
    return counts / n, factorial[n] / factorial[counts].prod(axis=1) / float(n) ** n
