from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.study.findings.statistics import _resamples, expected_best, mean_interval, paired_difference, spans_zero
from fallline.study.result import Estimate

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize("maximize", [True, False])
@settings(deadline=None)
@given(values=st.lists(FINITE, min_size=1, max_size=7))
def test_expected_best_is_the_mean_over_all_subsets(maximize: bool, values: list[float]) -> None:
    best = max if maximize else min
    found = expected_best(values, maximize)
    assert len(found) == len(values)
    for budget, expected in enumerate(found, start=1):
        subsets = [best(subset) for subset in itertools.combinations(values, budget)]
        assert expected == pytest.approx(math.fsum(subsets) / len(subsets), rel=1e-12, abs=1e-9)
    assert found[-1] == best(values)


def test_expected_best_of_a_long_search_is_finite_and_monotone() -> None:
    values = list(np.random.default_rng(0).normal(size=5000))
    found = expected_best(values, maximize=True)
    assert all(map(math.isfinite, found))
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(found))
    assert found[0] == pytest.approx(np.mean(values))
    assert found[-1] == max(values)


def test_expected_best_counts_nan_as_worst_and_of_nothing_is_nothing() -> None:
    assert expected_best([math.nan, 1.0], maximize=True)[-1] == 1.0
    assert expected_best([math.nan, 1.0], maximize=False)[-1] == 1.0
    assert expected_best([], maximize=True) == ()


@pytest.mark.parametrize("n", range(2, 7))
def test_resamples_are_all_of_them_with_their_probability(n: int) -> None:
    shares, weights = _resamples(n)
    counts: dict[tuple[float, ...], int] = {}
    for drawn in itertools.product(range(n), repeat=n):
        kind = tuple(drawn.count(i) / n for i in range(n))
        counts[kind] = counts.get(kind, 0) + 1
    assert {tuple(s): round(w * n**n) for s, w in zip(shares, weights, strict=True)} == counts
    assert weights.sum() == pytest.approx(1)


@settings(deadline=None)
@given(values=st.lists(FINITE, min_size=2, max_size=12), shift=st.floats(-1e3, 1e3))
def test_the_interval_holds_the_mean_and_moves_with_the_values(values: list[float], shift: float) -> None:
    found = mean_interval(values)
    scale = 1e-9 * (1 + max(map(abs, values)) + abs(shift))
    assert found.low <= found.mean <= found.high
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=scale)
    assert mean_interval(values[::-1]) == found == mean_interval(values)
    moved = mean_interval([v + shift for v in values])
    assert moved.low - shift == pytest.approx(found.low, abs=100 * scale)
    turned = mean_interval([-v for v in values])
    assert (-turned.high, -turned.low) == pytest.approx((found.low, found.high), abs=100 * scale)


def test_one_value_gives_no_interval_and_equal_values_an_empty_one() -> None:
    single = mean_interval([0.3])
    assert single.mean == 0.3
    assert math.isnan(single.low)
    assert math.isnan(single.high)
    assert not single.has_interval
    assert mean_interval([0.1] * 5) == Estimate(0.1, 0.1, 0.1, 5)
    assert not mean_interval([0.3, math.inf]).has_interval
    assert math.isnan(mean_interval([math.inf, -math.inf]).mean)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


# Samples and the share of intervals that may hold the true mean. No method covers the mean of a skewed sample of five
# at 95 %: Student's interval reaches 88 % for exponential values.
COVERAGE = [
    ("normal", 2, 0.90, 0.97),
    ("normal", 3, 0.92, 0.98),
    ("normal", 5, 0.92, 0.98),
    ("normal", 20, 0.92, 0.98),
    ("uniform", 5, 0.91, 0.98),
    ("accuracy", 5, 0.92, 0.98),
    ("exponential", 5, 0.84, 0.98),
    ("exponential", 20, 0.89, 0.98),
]


@pytest.mark.parametrize(("shape", "n", "low", "high"), COVERAGE)
def test_coverage(shape: str, n: int, low: float, high: float) -> None:
    rng = np.random.default_rng(7)
    draw, mean = {
        "normal": (rng.standard_normal, 0.0),
        "uniform": (rng.random, 0.5),
        "accuracy": (lambda size: rng.binomial(270, 0.97, size) / 270, 0.97),
        "exponential": (rng.standard_exponential, 1.0),
    }[shape]
    repeats = 1000 if n < 9 else 200
    intervals = [mean_interval(draw(n)) for _ in range(repeats)]
    assert low <= np.mean([i.low <= mean <= i.high for i in intervals]) <= high


def test_paired_difference_sees_through_what_the_pairs_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 1, 5)
    first, second = shared + 0.1 + rng.normal(0, 0.01, 5), shared + rng.normal(0, 0.01, 5)
    found = paired_difference(list(first), list(second))
    assert found.low > 0
    assert found.mean == pytest.approx(0.1, abs=0.02)
    assert not spans_zero(found)
    assert spans_zero(mean_interval([-1.0, 1.0]))
    assert spans_zero(mean_interval([1.0]))
    assert spans_zero(mean_interval([0.0, 0.0]))
    with pytest.raises(ValueError, match="zip"):
        paired_difference([1.0], [1.0, 2.0])
