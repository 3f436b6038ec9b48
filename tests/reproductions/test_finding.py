"""Verdicts follow from the interval and from what is claimed, and from nothing else."""

from __future__ import annotations

import math

import pytest
from reproductions.finding import Finding, Range, Verdict, above, below, exactly, measured, percent, points, together

from fallline.study.findings.statistics import mean_interval
from fallline.study.result import Estimate


def verdict(low, high, claimed):
    return Finding("x", Estimate((low + high) / 2, low, high, 5), claimed).verdict


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.3, Verdict.SHOWS),
        (-0.1, 0.3, Verdict.NO_DIFFERENCE),
        (0.0, 0.3, Verdict.NO_DIFFERENCE),
        (0.0, 0.0, Verdict.NO_DIFFERENCE),
        (-0.3, -0.1, Verdict.DOES_NOT_SHOW),
        (math.nan, math.nan, Verdict.NO_DIFFERENCE),
    ],
)
def test_an_interval_that_spans_zero_shows_no_difference(low, high, expected):
    assert verdict(low, high, above(0)) == expected
    assert verdict(-high, -low, below(0)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.5, 0.5, Verdict.SHOWS),
        (-1.5, 0.5, Verdict.OPEN),
        (-2.0, 2.0, Verdict.OPEN),
        (1.5, 2.5, Verdict.DOES_NOT_SHOW),
    ],
)
def test_equality_shows_where_the_interval_lies_within_the_bounds(low, high, expected):
    assert verdict(low, high, Range(-1, 1)) == expected


def test_one_seed_shows_nothing():
    assert measured("x", [3.0], above(0)).verdict == Verdict.NO_DIFFERENCE


def test_what_does_not_depend_on_seeds_needs_none():
    assert exactly("x", 48.9, Range(45, 55)).verdict == Verdict.SHOWS
    assert exactly("x", 40.0, Range(45, 55)).verdict == Verdict.DOES_NOT_SHOW


def test_nothing_claimed_is_measured():
    assert measured("x", [1.0, 2.0]).verdict == Verdict.MEASURED


def test_differences_are_paired_and_in_points():
    found = points("x", [0.9, 0.8, 0.7], [0.89, 0.78, 0.69], above(0))
    assert found.estimate == mean_interval([100 * d for d in (0.9 - 0.89, 0.8 - 0.78, 0.7 - 0.69)])
    assert found.unit == "points"


def test_equal_shares_of_few_examples_are_no_certainty():
    found = points("x", [0.9, 0.8, 0.7], [0.89, 0.79, 0.69], above(0), step=1 / 50)
    assert found.verdict == Verdict.NO_DIFFERENCE
    assert percent("x", [0.9, 0.9], step=0.1).estimate.low < 90


def test_a_claim_is_judged_by_all_its_findings():
    shows, open_, plain = exactly("x", 1, above(0)), measured("x", [-1.0, 1.0], above(0)), exactly("x", 1)
    assert together([shows, plain, shows]) == "shows"
    assert together([shows, open_, shows]) == "in part: shows (2 of 3), no difference shown (1 of 3)"
    assert together([plain]) == "measured"


def test_findings_survive_their_file():
    for found in (measured("x", [1.0, 2.0], above(0), "s"), exactly("y", 2.0), measured("z", [1.0, 4.0], Range(2, 4))):
        assert Finding.from_dict(found.to_dict()) == found
