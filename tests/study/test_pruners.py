"""Successive halving and Hyperband: their budgets, who goes on, and what a comparison makes of it."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallline.errors import InputError
from fallline.study import Halving, Hyperband, compare
from fallline.study.search.pruners import Bracket, find
from fallline.study.search.selection import Selection
from fallline.training import Point, Trial

from .standins import Problem, Training, closeness


def test_the_budget_of_a_bracket() -> None:
    """9 trials to epoch 2, 3 on to epoch 6, 1 on to epoch 18: 9 * 2 + 3 * 4 + 1 * 12."""
    (bracket,) = Halving(eta=3).brackets(9, 18)
    assert (bracket.rungs, bracket.alive, bracket.epochs(18)) == ((2, 6), (9, 3, 1), 42)
    assert Bracket(4).epochs(18) == 72


def test_the_brackets_of_hyperband_share_the_trials() -> None:
    brackets = Hyperband(eta=3).brackets(16, 18)
    assert [(b.count, b.rungs) for b in brackets] == [(9, (2, 6)), (4, (6,)), (3, ())]


@given(
    trials=st.integers(1, 300),
    epochs=st.integers(1, 200),
    eta=st.integers(2, 5),
    least=st.integers(1, 20),
    pruner=st.sampled_from([Halving, Hyperband]),
)
def test_every_search_keeps_its_trials_and_saves_epochs(
    trials: int, epochs: int, eta: int, least: int, pruner: Any
) -> None:
    brackets = pruner(eta, least).brackets(trials, epochs)
    assert sum(bracket.count for bracket in brackets) == trials
    for bracket in brackets:
        assert list(bracket.rungs) == sorted(set(bracket.rungs))
        assert all(least <= rung < epochs for rung in bracket.rungs)
        assert bracket.alive[-1] >= 1
        assert all(later == math.ceil(left / eta) for left, later in pairwise(bracket.alive))
        assert bracket.epochs(epochs) <= bracket.count * epochs


def curve(*metrics: float) -> list[Point]:
    return [Point(epoch, epoch, 0.0, 0.0, 1.0, metric) for epoch, metric in enumerate(metrics)]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_best_of_each_rule_go_on_and_nan_never_does(maximize: bool) -> None:
    sign = 1 if maximize else -1
    places = [("sgd", n) for n in range(4)] + [("adam", n) for n in range(4)]
    metrics = [0.1, 0.4, math.nan, 0.3, 0.9, 0.7, 0.8, 0.6]
    selection = Selection(Bracket(4, (1,), eta=2), places, maximize, {})
    curves = {index: curve(0.0, sign * metric) for index, metric in enumerate(metrics)}
    assert selection.survivors(1, curves) == {1, 3, 4, 6}


def test_who_ended_before_competes_as_then() -> None:
    """Trials 0 and 1 were recorded by an earlier process: 0 was ended at the rung, 1 went on and diverged later."""
    places = [("sgd", 2), ("sgd", 3)]
    ended = {("sgd", 0): curve(0, 0.2), ("sgd", 1): curve(0, 0.9, 0.1)}
    selection = Selection(Bracket(4, (1,), eta=2), places, True, ended)
    assert selection.survivors(1, {0: curve(0, 0.5), 1: curve(0, 0.4)}) == {0}


def climbing(trial: Trial) -> float:
    return closeness(trial)


@pytest.mark.parametrize("pruner", ["halving", Hyperband(eta=2)])
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_rule_has_the_same_budget_and_what_fell_behind_cannot_win(pruner: Any, sampler: str) -> None:
    options: dict[str, Any] = {"trials": 12, "seeds": 2, "progress": False}
    problem = Problem(epochs=9)
    result = compare(problem, ["sgd", "adam"], pruner=pruner, sampler=sampler, _train=Training(climbing), **options)
    assert result.complete
    states = [[t.state for t in rule.search] for rule in result.rules]
    epochs = [sum(t.curve[-1].epoch for t in rule.search) for rule in result.rules]
    assert epochs[0] == epochs[1] < 12 * 9
    assert [s.count("pruned") for s in states] == [states[0].count("pruned")] * 2
    for rule in result.rules:
        assert rule.best is not None
        assert rule.best.state == "finished"
        assert rule.best.score == max(t.score for t in rule.search if t.state == "finished")


def test_an_ended_search_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    options: dict[str, Any] = {"trials": 9, "seeds": 1, "progress": False, "pruner": "halving"}
    problem = Problem(epochs=9)
    whole = compare(problem, ["sgd", "adam"], _train=Training(), **options)
    out = tmp_path / "out"
    for stop in (0, 5, 17, 19):
        compare(problem, ["sgd", "adam"], _train=Training(stop_after=stop), out=out, **options)
    training = Training()
    again = compare(problem, ["sgd", "adam"], _train=training, out=out, **options)
    assert [[(t.number, t.state) for t in r.search] for r in again.rules] == [
        [(t.number, t.state) for t in r.search] for r in whole.rules
    ]
    assert compare(problem, ["sgd", "adam"], _train=Training(stop_after=0), out=out, **options).complete


def test_a_pruned_trial_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """The same draws without pruning are other trials."""
    options: dict[str, Any] = {"trials": 9, "seeds": 1, "progress": False, "out": tmp_path}
    problem = Problem(epochs=9)
    compare(problem, ["sgd"], _train=Training(), pruner="halving", **options)
    whole = compare(problem, ["sgd"], _train=Training(), **options)
    assert {t.state for t in whole.rules[0].search} == {"finished"}


WRONG = [
    ({"pruner": "halvin"}, "unknown pruner 'halvin'. Did you mean halving"),
    ({"pruner": 3}, "pruner=3 is not allowed"),
    ({"pruner": Halving(eta=1)}, "eta=1 is not allowed"),
    ({"pruner": Hyperband(min_epochs=0)}, "min_epochs=0 is not allowed"),
    ({"pruner": "hyperband", "batch": 3}, "batch does not go with pruner='hyperband'"),
    ({"pruner": "halving", "trials": 2}, "pruner='halving' would end no trial: 2 trials of 3 epochs leave no rung"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_pruner_that_cannot_be_is_told(wrong: dict[str, Any], message: str) -> None:
    training = Training()
    with pytest.raises(InputError, match=message):
        compare(Problem(), ["sgd"], progress=False, _train=training, **wrong)
    assert training.trained == []
    assert find("none") is find(None) is None
