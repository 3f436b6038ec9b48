"""Which hyper-parameters mattered, on scores whose truth is known."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fallline.problems.space import choice, describe, when, whole
from fallline.rules import linear
from fallline.rules.hyper import Hyper
from fallline.study.findings.axes import axes
from fallline.study.result import Importance, RuleResult

from ..report import make

pytest.importorskip("optuna")
pytest.importorskip("sklearn")

Score = Callable[..., float]


def searched(
    score: Score, names: Sequence[str] = "abcd", count: int = 24, *, seed: int = 0, own: Any = ()
) -> RuleResult:
    """A rule whose search trials score as the function of the positions of its hyper-parameters says."""
    made = make.rule_result("sgd", 0.9, trials=count, seeds=1)
    hypers = {name: Hyper(name, 0.5, search=linear(0, 1)) for name in names}
    draw = random.Random(seed)
    trials = []
    for number, trial in enumerate(made.search):
        at = {name: draw.random() for name in names}
        values = {axis.name: axis.part.sample(draw.random()) for axis in axes(made.rule, own) if axis.own}
        last = replace_end(trial.curve, score(draw, **at, **values))
        trials.append(replace(trial, settings=at, own=values, state="finished", curve=last, number=number))
    best = max(trials, key=lambda trial: trial.score)
    rule = replace(made.rule, hypers=hypers)
    return replace(made, rule=rule, search=tuple(trials), best=best, own=tuple(own))


def replace_end(curve: Any, value: float) -> Any:
    first, last = curve[0], curve[-1]
    return (type(first)(**{**vars(first), "valid_metric": -100.0}), type(last)(**{**vars(last), "valid_metric": value}))


def by_name(rule: RuleResult) -> dict[str, Importance]:
    return {each.hyper: each for each in rule.importance}


def ten_to_one(draw: random.Random, a: float, b: float, c: float, d: float) -> float:
    return 10 * a + b + draw.gauss(0, 0.2)


def total_effects(score: Callable[..., Any], inputs: int, noise: float) -> Any:
    """By brute force: what is left of the variance when only one input is open (Saltelli et al. 2010)."""
    draw = np.random.default_rng(0)
    first, second = draw.random((2, inputs, 200_000))
    scores = score(*first)
    effects = []
    for i in range(inputs):
        other = first.copy()
        other[i] = second[i]
        effects.append(((scores - score(*other)) ** 2).mean() / 2)
    return np.array(effects) / (scores.var() + noise**2)


def test_what_matters_ten_times_more_is_found_and_noise_is_not() -> None:
    rule = searched(ten_to_one)
    found = by_name(rule)
    truth = total_effects(lambda a, b, c, d: 10 * a + b, 4, 0.2)
    for name, true in zip("abcd", truth, strict=True):
        relevance = found[name].relevance
        assert relevance is not None
        assert relevance.low - 0.01 <= true <= relevance.high + 0.01
    assert found["a"].matters
    assert not found["c"].matters
    assert not found["d"].matters
    for measure in ("fanova", "mean_decrease_impurity", "ped_anova"):
        values = {name: getattr(each, measure).mean for name, each in found.items()}
        assert max(values, key=values.__getitem__) == "a"
        assert math.fsum(values.values()) == pytest.approx(1, abs=1e-6)
        assert all(getattr(each, measure).low >= 0 and getattr(each, measure).high <= 1 for each in found.values())
    assert found["a"].sentence.startswith("a mattered: ")
    assert "was not shown to matter" in found["c"].sentence


def test_an_interaction_counts_for_both() -> None:
    rule = searched(lambda draw, a, b, c: 4 * (a - 0.5) * (b - 0.5) + draw.gauss(0, 0.02), "abc", 40)
    found = by_name(rule)
    assert found["a"].matters
    assert found["b"].matters
    assert not found["c"].matters


def test_where_nothing_matters_nothing_is_said_to() -> None:
    rules = [searched(lambda draw, **_: draw.gauss(0, 1), "abc", 16, seed=seed) for seed in range(8)]
    assert sum(each.matters for rule in rules for each in rule.importance) <= 1


def test_it_is_the_same_at_every_call_and_in_any_order() -> None:
    rule = searched(ten_to_one, count=12)
    turned = replace(rule, search=rule.search[::-1])
    assert rule.importance == turned.importance


def test_the_problems_own_hyper_parameters_are_among_them() -> None:
    own = describe(
        {
            "width": whole(16, 256, log=True),
            "activation": choice("relu", "tanh", "gelu"),
            "slope": when(linear(0, 1), activation="relu"),
        },
        {"width": 64, "activation": "relu", "slope": 0.1},
    )

    def score(draw: random.Random, a: float, activation: str, **_: Any) -> float:
        return {"relu": 0.0, "tanh": 2.0, "gelu": 0.4}[activation] + 0.5 * a + draw.gauss(0, 0.02)

    rule = searched(score, "a", 40, own=own)
    found = by_name(rule)
    assert list(found) == ["a", "width", "activation", "slope"]
    assert [each.own for each in found.values()] == [False, True, True, True]
    assert found["activation"].matters
    assert not found["width"].matters
    assert not found["slope"].matters  # set in every trial, in force where the activation is relu
    line = found["activation"].slice
    assert line is not None
    assert len(line.positions) == 3
    assert line.mean[1] - line.mean[0] == pytest.approx(2, abs=0.3)
    assert all(low <= mean <= high for low, mean, high in zip(line.low, line.mean, line.high, strict=True))


def test_the_slice_goes_through_the_chosen_trial() -> None:
    rule = searched(lambda draw, a, b: 3 * a - 2 * (b - 0.4) ** 2 + draw.gauss(0, 0.01), "ab", 30)
    assert rule.best is not None
    line = by_name(rule)["b"].slice
    assert line is not None
    for at, low, mean, high in zip(line.positions, line.low, line.mean, line.high, strict=True):
        true = 3 * rule.best.settings["a"] - 2 * (at - 0.4) ** 2
        assert mean == pytest.approx(true, abs=0.15)
        assert low - 0.05 <= true <= high + 0.05


def test_a_diverged_trial_counts_as_its_untrained_model() -> None:
    """Whether a trial diverges is all that `a` decides."""
    rule = searched(lambda draw, a, b: 0.9 + draw.gauss(0, 0.001), "ab", 24)
    search = tuple(
        replace(trial, state="diverged", curve=(trial.curve[0], make.point(1, math.nan, math.inf)))
        if trial.settings["a"] > 0.6
        else trial
        for trial in rule.search
    )
    assert by_name(replace(rule, search=search))["a"].matters
    assert not by_name(rule)["a"].matters


def test_with_one_hyper_parameter_shares_of_a_sum_are_left_out() -> None:
    (only,) = searched(lambda draw, a: a**2, "a", 12).importance
    assert only.matters
    assert (only.fanova, only.ped_anova, only.mean_decrease_impurity) == (None, None, None)


def test_why_nothing_can_be_said_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    few = searched(ten_to_one, count=7)
    same = searched(lambda draw, **_: 0.5)
    assert {each.sentence.partition(": ")[2] for each in few.importance} == {
        "7 trials are too few to tell; it takes 8."
    }
    assert {each.sentence.partition(": ")[2] for each in same.importance} == {"all trials scored the same."}
    assert all(each.relevance is None and each.slice is None and not each.matters for each in few.importance)
    assert replace(few, rule=replace(few.rule, hypers={})).importance == ()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    absent = searched(ten_to_one).importance
    assert absent[0].sentence == "a: this takes scikit-learn: pip install 'fallline[search]'."


def test_of_many_trials_a_part_is_looked_at() -> None:
    assert by_name(searched(ten_to_one, count=400))["a"].matters


def test_optuna_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    assert searched(ten_to_one, count=8).importance
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("count", [16, 40])
def test_intervals_hold_the_truth_and_noise_is_not_named(count: int) -> None:
    """Total effects by brute force. 0.85: the process is a model, and its intervals are no exact ones."""
    cases: list[tuple[str, Callable[..., Any], float]] = [
        ("abc", lambda a, b, c: np.sin(4 * a) + b, 0.2),
        ("abc", lambda a, b, c: 4 * (a - 0.5) * (b - 0.5) + a, 0.1),
        ("abc", lambda a, b, c: np.exp(-8 * (a - 0.6) ** 2) + 0.3 * b, 0.05),
    ]
    held, total, named, noise_columns = 0, 0, 0, 0
    for names, function, noise in cases:
        truth = total_effects(function, len(names), noise)
        for seed in range(40):
            rule = searched(
                lambda draw, f=function, s=noise, **at: float(f(**at)) + draw.gauss(0, s), names, count, seed=seed
            )
            for each, true in zip(rule.importance, truth, strict=True):
                assert each.relevance is not None
                held += each.relevance.low - 0.005 <= true <= each.relevance.high + 0.005
                total += 1
                named += each.matters and true == 0
                noise_columns += true == 0
    assert held / total >= 0.85
    assert named / noise_columns <= 0.05
