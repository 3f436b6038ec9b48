"""Samplers as a search uses them: what they ask for is allowed, repeatable, and better than chance where they learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pytest

from fallline.errors import InputError
from fallline.problems import choice, linear, when, whole
from fallline.rules import get
from fallline.study.search.samplers import SAMPLERS, Request, Tried, propose
from fallline.study.search.samplers import known as known_samplers
from fallline.study.search.space import Space, check_names

OWN = {
    "width": whole(4, 64, log=True),
    "activation": choice("relu", "tanh", "leaky"),
    "slope": when(linear(0, 0.5), activation="leaky"),
}
SPACE = Space(get("adamw"), OWN)
SMALL = Space(get("sgd"), {"width": whole(4, 64, log=True)})
FAST = [name for name in SAMPLERS if name != "gp"]
LEARNING = [name for name, sampler in SAMPLERS.items() if sampler.adaptive]


def score(values: Mapping[str, Any]) -> float:
    """Best at a learning rate of 0.03, a width of 16 and a slope of 0.2."""
    shape = abs(values["slope"] - 0.2) if "slope" in values else 0.5
    return -(math.log10(values["lr"] / 0.03) ** 2) - 0.3 * math.log2(values["width"] / 16) ** 2 - shape


def searched(name: str, seed: int, batches: int = 4, size: int = 6, space: Space = SPACE) -> list[list[Tried]]:
    history: list[list[Tried]] = []
    for _ in range(batches):
        asked = propose(name, Request(space, history, size, batches * size, seed))
        history.append([Tried(values, score(values)) for values in asked])
    return history


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_is_asked_for_is_in_the_space_and_what_does_not_exist_is_not_asked_for(name: str) -> None:
    history = searched(name, 0, batches=1, size=16 if name in FAST else 4)
    asked = propose(name, Request(SPACE, history, 16 if name in FAST else 2, 32, 0))
    for values in [*(tried.values for tried in history[0]), *asked]:
        settings, own = SPACE.split(values)
        assert SPACE.rule.check(settings) == settings
        for hyper, space in SPACE.rule.space.items():
            assert -1e-9 <= space.position(settings[hyper]) <= 1 + 1e-9
        assert own["width"] in OWN["width"]
        assert ("slope" in own) == (own["activation"] == "leaky")
        assert 0 <= own.get("slope", 0) <= 0.5


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_request_gets_the_same_answer(name: str) -> None:
    space = SPACE if name in FAST else SMALL
    history = searched(name, 3, batches=2 if name in FAST else 1, space=space)
    first = propose(name, Request(space, history, 3, 24, 3))
    assert propose(name, Request(space, history, 3, 24, 3)) == first
    assert len({str(values) for values in first}) == 3
    assert propose(name, Request(space, history, 3, 24, 4)) != first


@pytest.mark.parametrize("name", ["random", "quasi-random"])
def test_a_smaller_budget_is_a_prefix_however_it_is_asked_for(name: str) -> None:
    (large,) = searched(name, 0, batches=1, size=16)
    small = [tried for batch in searched(name, 0, batches=3, size=4) for tried in batch]
    assert small == large[:12]


def test_random_trials_have_the_same_values_of_the_problems_own_under_every_rule() -> None:
    sgd, adam = (Space(get(name), OWN) for name in ("sgd", "adam"))
    pairs = [[space.split(space.draw(5, number))[1] for space in (sgd, adam)] for number in range(20)]
    assert all(one == other for one, other in pairs)
    assert len({str(one) for one, _ in pairs}) > 10
    lrs = [[space.rule.space["lr"].position(space.draw(5, n)["lr"]) for space in (sgd, adam)] for n in range(20)]
    assert all(abs(one - other) > 1e-3 for one, other in lrs)


@pytest.mark.parametrize("name", LEARNING)
def test_a_sampler_that_learns_finds_the_optimum_better_than_chance(name: str) -> None:
    """By the mean score of the last batch."""
    seeds, batches, size = (6, 6, 6) if name in FAST else (2, 4, 3)

    def last(sampler: str, seed: int) -> float:
        return fmean(tried.score for tried in searched(sampler, seed, batches, size, SMALL)[-1])

    assert fmean(last(name, seed) for seed in range(seeds)) > fmean(last("random", seed) for seed in range(100)) + 0.5


def test_quasi_random_points_fill_a_range_evenly() -> None:
    lrs = sorted(SPACE.rule.space["lr"].position(float(t.values["lr"])) for t in searched("quasi-random", 0, 1, 16)[0])
    assert [int(16 * position) for position in lrs] == list(range(16))


def test_a_grid_has_the_middles_of_equal_parts_and_the_rest_is_random() -> None:
    space = Space(get("sgd"), {"width": whole(1, 3), "name": choice("a", "b")})
    asked = [tried.values for tried in searched_plain("grid", space, 20)]
    assert len({str(values) for values in asked[:18]}) == 18
    assert {values["width"] for values in asked[:18]} == {1, 2, 3}
    positions = {round(space.rule.space["lr"].position(float(values["lr"])), 9) for values in asked[:18]}
    assert positions == {round((i + 0.5) / 3, 9) for i in range(3)}
    assert asked[18:] == [space.draw(0, number) for number in (18, 19)]


def searched_plain(name: str, space: Space, count: int) -> list[Tried]:
    return [Tried(values, 0.0) for values in propose(name, Request(space, [], count, count, 0))]


def test_points_of_a_grid_that_differ_in_what_does_not_exist_are_one() -> None:
    asked = [str(tried.values) for tried in searched_plain("grid", Space(get("sgd"), OWN), 60)]
    assert len(set(asked)) == 60


@pytest.mark.parametrize("name", [name for name in LEARNING if name in FAST])
def test_what_is_told_as_the_worst_is_avoided(name: str) -> None:
    space = Space(get("sgd"))
    history: list[list[Tried]] = []
    for _ in range(4):
        asked = propose(name, Request(space, history, 8, 32, 1))
        history.append([])
        for values in asked:
            diverged = space.rule.space["lr"].position(float(values["lr"])) > 0.5
            history[-1].append(Tried(values, -1.0 if diverged else 0.5))
    early, late = (sum(tried.score < 0 for tried in history[k]) for k in (0, -1))
    assert late < early


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_rule_without_anything_to_search_is_asked_for_as_it_is(name: str) -> None:
    from dataclasses import replace

    sgd = get("sgd")
    fixed = Space(replace(sgd, hypers={n: replace(h, search=None) for n, h in sgd.hypers.items()}))
    assert propose(name, Request(fixed, [], 3, 3, 0)) == [{}, {}, {}]
    assert fixed.split({}) == (sgd.defaults, {})


def test_optuna_is_quiet_and_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    for name in SAMPLERS:
        searched(name, 0, batches=2, size=4 if name in FAST else 2)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"unknown sampler 'tp'\. Did you mean tpe"):
        known_samplers.find("tp")
    monkeypatch.setattr(known_samplers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"sampler='tpe' needs optuna; .*pip install 'fallline\[search\]'"):
        known_samplers.find("tpe")
    assert known_samplers.find("random")
    with pytest.raises(InputError, match="'momentum' is a hyper-parameter of the rule momentum and of the problem"):
        check_names([get("sgd"), get("momentum")], {"momentum": linear(0, 1)})
