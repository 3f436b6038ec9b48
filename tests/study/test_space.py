from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.rules import get, names
from fallline.study.search.space import draw, fresh_seeds


@pytest.mark.parametrize("name", names())
def test_draws_are_allowed_and_stay_in_their_ranges(name: str) -> None:
    rule = get(name)
    for number in range(20):
        drawn = rule.check(draw(rule, 0, number))
        assert list(drawn) == list(rule.hypers)
        for hyper, value in drawn.items():
            space = rule.space.get(hyper)
            if space is None:
                assert value == rule.hypers[hyper].default
            else:
                assert -1e-9 <= space.position(value) < 1 + 1e-9


def test_a_draw_depends_on_seed_rule_and_number_alone() -> None:
    adam = get("adam")
    first = [draw(adam, 3, number) for number in range(8)]
    assert [draw(adam, 3, number) for number in range(16)][:8] == first
    assert len({tuple(settings.values()) for settings in first}) == 8
    assert draw(adam, 4, 0) != first[0]
    assert draw(replace(adam, name="other"), 3, 0) != first[0]
    fewer = replace(adam, hypers={name: h for name, h in adam.hypers.items() if name != "beta1"})
    assert draw(fewer, 3, 0) == {name: value for name, value in first[0].items() if name != "beta1"}


def test_draws_are_the_same_in_every_process_and_version() -> None:
    assert draw(get("sgd"), 0, 0)["lr"] == pytest.approx(0.9110202578767481, rel=1e-12)


def test_draws_fill_the_range_evenly() -> None:
    sgd = get("sgd")
    positions = sorted(sgd.space["lr"].position(draw(sgd, 0, number)["lr"]) for number in range(400))
    assert all(abs(position - (i + 0.5) / 400) < 0.08 for i, position in enumerate(positions))


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 50))
def test_fresh_seeds_are_fresh(seed: int, count: int) -> None:
    seeds = fresh_seeds(seed, count)
    assert len(set(seeds)) == count
    assert seed not in seeds
    assert fresh_seeds(seed, count + 1)[:count] == seeds
    assert not set(seeds) & set(fresh_seeds(seed + 1, count))
