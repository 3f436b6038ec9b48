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

from .result import Estimate

Array = NDArray[np.float64]

_EXACT = 8  # up to here every resample is counted (6435 kinds of them), beyond it they are drawn
_DRAWS = 20_000


def mean_interval(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The mean and its bootstrap interval at `level`, the same at every call.

    The percentile interval of the resampled means is drawn out from the mean by sqrt(n / (n - 1)) * t / z. Those are
    the two corrections of the expanded percentile interval (Hesterberg 2015, arXiv:1411.5279), for the
    spread that a resample lacks and for its estimation, but applied to the interval's length and not to its tail
    level: for five values or fewer the latter cannot leave the range of the values, which covers the mean of two 50 %
    of the time. One value, or a value that is not finite, allows no interval: its ends are NaN. Raises `ValueError`
    for no values.
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
    if data[0] == data[-1]:
        return Estimate(mean, mean, mean, n)
    low, high = _percentiles(data, (1 - level) / 2)
    stretch = math.sqrt(n / (n - 1)) * float(student.ppf((1 + level) / 2, n - 1) / norm.ppf((1 + level) / 2))
    return Estimate(mean, mean - stretch * (mean - low), mean + stretch * (high - mean), n)


def paired_difference(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Estimate:
    """The mean of `first[i] - second[i]` with its interval. Raises `ValueError` when the lengths differ."""
    return mean_interval([a - b for a, b in zip(first, second, strict=True)], level)


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
