"""The strong Wolfe line search by itself."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from fallline import InputError
from fallline.optim.full_batch.line_search import Point, strong_wolfe
from tests.optim.full_batch.functions import CASES, for_scipy


class Line:
    """A function of one number with its slope, which counts how often it is asked."""

    def __init__(self, value, slope):
        self.value, self.slope, self.asked = value, slope, []

    def __call__(self, step):
        self.asked.append(step)
        return Point(step, self.value(step), self.slope(step), None)

    @property
    def start(self):
        return Point(0.0, self.value(0.0), self.slope(0.0), None)


def wavy(depth, waves, phase):
    """A parabola with waves on it, going down at 0."""
    tilt = -1.0 - depth * waves * abs(math.cos(phase))
    return Line(
        lambda t: tilt * t + 0.5 * t**2 + depth * math.sin(waves * t + phase),
        lambda t: tilt + t + depth * waves * math.cos(waves * t + phase),
    )


def meets_both(line, point, c1, c2):
    start = line.start
    return point.value <= start.value + c1 * point.step * start.slope and abs(point.slope) <= -c2 * start.slope


@given(
    depth=st.floats(0, 3),
    waves=st.floats(0.1, 10),
    phase=st.floats(0, 6),
    step=st.floats(1e-6, 1e6),
    c2=st.sampled_from([0.9, 0.1, 0.01]),
)
def test_the_step_meets_both_conditions(depth, waves, phase, step, c2):
    line = wavy(depth, waves, phase)
    found = strong_wolfe(line, line.start, step, c2=c2, width=0.0, limit=100)
    assert found.met
    assert meets_both(line, found.point, 1e-4, c2)
    assert found.evaluations == len(line.asked)
    assert found.point.step in line.asked


@given(depth=st.floats(0, 3), waves=st.floats(0.1, 10), step=st.floats(1e-3, 1e3), limit=st.integers(1, 6))
def test_a_search_that_is_cut_short_never_goes_up(depth, waves, step, limit):
    line = wavy(depth, waves, 0.0)
    found = strong_wolfe(line, line.start, step, c2=1e-3, limit=limit)
    assert found.evaluations == len(line.asked) <= limit
    assert found.met == meets_both(line, found.point, 1e-4, 1e-3) or found.point.step == 0
    assert found.point.step == 0 or found.point.value <= line.start.value + 1e-4 * found.point.step * line.start.slope


@pytest.mark.parametrize("name", CASES)
def test_it_finds_steps_where_scipy_does(name):
    """Along many directions, in about as many evaluations all together."""
    both = for_scipy(CASES[name].function)
    rng = np.random.default_rng(0)
    ours = theirs = 0
    for _ in range(40):
        x = np.array(CASES[name].start) + rng.normal(size=len(CASES[name].start))
        value, gradient = both(x)
        direction = -gradient * np.exp(rng.normal(size=len(x)))
        step = min(1.0, 1.0 / abs(gradient).sum())
        line = Line(lambda t, x=x, d=direction: both(x + t * d)[0], lambda t, x=x, d=direction: both(x + t * d)[1] @ d)
        found = strong_wolfe(line, line.start, step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = scipy.optimize.line_search(
                lambda z: both(z)[0], lambda z: both(z)[1], x, step * direction, gradient, value, maxiter=25
            )
        assert found.met
        assert meets_both(line, found.point, 1e-4, 0.9)
        if answer[0] is not None:
            ours, theirs = ours + found.evaluations, theirs + answer[1]
    assert ours <= 1.5 * theirs


def test_it_is_led_back_from_where_the_function_is_not_finite():
    for beyond in (math.nan, math.inf, -math.inf):
        line = Line(lambda t, beyond=beyond: -t + t**2 if t < 1 else beyond, lambda t: 2 * t - 1 if t < 1 else math.nan)
        found = strong_wolfe(line, line.start, 1000.0)
        assert found.met
        assert 0 < found.point.step < 1


def test_without_a_lower_point_it_stays():
    line = Line(lambda t: 0.0 if t == 0 else 1.0, lambda t: -1.0)
    found = strong_wolfe(line, line.start, 1.0)
    assert (found.point.step, found.met) == (0.0, False)
    assert found.evaluations < 25


def test_a_function_without_a_minimum_is_followed_as_far_as_allowed():
    line = Line(lambda t: -t, lambda t: -1.0)
    found = strong_wolfe(line, line.start, 1.0, limit=10)
    assert (found.met, found.evaluations) == (False, 10)
    assert found.point.step == max(line.asked) > 1e5


def test_a_jump_in_slope_ends_the_search_beside_it():
    line = Line(lambda t: abs(t - 0.3), lambda t: math.copysign(1.0, t - 0.3))
    found = strong_wolfe(line, line.start, 1.0, c2=0.5, width=0.0, limit=200)
    assert not found.met
    assert found.evaluations < 200
    assert found.point.step == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0.0}, r"step=0.0 is not allowed for a line search"),
        ({"step": math.nan}, r"step=nan is not allowed"),
        ({"c1": 0.5, "c2": 0.4}, r"c1=0.5 and c2=0.4 are not allowed"),
        ({"limit": 0}, r"limit=0 is not allowed"),
        ({"start": Point(0.0, 1.0, 0.5, None)}, r"slope 0.5"),
        ({"start": Point(0.0, math.nan, -1.0, None)}, r"value nan"),
    ],
)
def test_what_is_not_allowed_is_refused_before_the_first_evaluation(settings, message):
    line = wavy(1.0, 1.0, 0.0)
    with pytest.raises(InputError, match=message):
        strong_wolfe(line, **{"start": line.start, **settings})
    assert not line.asked
