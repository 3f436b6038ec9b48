"""The comparison with the real rules, problem and training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fallline.problems import Problem, load
from fallline.study import Result, compare
from fallline.training import train


def digits() -> Problem:
    problem = load("digits")
    problem.epochs = 2
    return problem


def test_digits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"trials": 2, "seeds": 2, "progress": False, "stack": 4}
    result = compare(digits(), ["sgd", "adam"], out=tmp_path, **options)
    assert result.complete
    assert result.problem_name == "digits"
    assert {r.name for r in result.rules} == {"sgd", "adam"}
    for rule in result.rules:
        assert rule.best is not None
        assert rule.test_metric is not None
        assert 0.3 < rule.test_metric.mean <= 1
        assert [point.epoch for point in rule.tuned[0].curve] == [0, 1, 2]
        assert rule.equation
        assert rule.step_seconds > 0
        first, second = (r.curve[0].valid_loss for r in (rule.tuned[0], rule.default[0]))
        assert first == second  # the same seed, so the same untrained model
    assert result.study.problem["parameters"] == 7510
    assert Result.load(tmp_path).to_dict() == result.to_dict()

    again = compare(digits(), ["sgd", "adam"], **options)
    assert [r.test_metric for r in again.rules] == [r.test_metric for r in result.rules]


def test_a_stacked_study_and_one_by_one_find_the_same() -> None:
    problem = load("digits")
    options: dict[str, Any] = {"trials": 4, "seeds": 2, "progress": False}
    alone, stacked = (compare(problem, ["sgd", "adam"], stack=way, **options) for way in ("off", 8))
    assert [rule.name for rule in alone.rules] == [rule.name for rule in stacked.rules]
    for mine, theirs in zip(alone.rules, stacked.rules, strict=True):
        for a, b in zip([*mine.search, *mine.tuned], [*theirs.search, *theirs.tuned], strict=True):
            assert (a.settings, a.seed, a.state, a.steps) == (b.settings, b.seed, b.state, b.steps)
            # over 615 steps; what is at the edge of stability makes more of the last bits
            losses = [[point.valid_loss for point in trial.curve] for trial in (a, b)]
            assert losses[0] == pytest.approx(losses[1], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("stack", ["off", 4])
def test_an_interrupt_in_the_middle_of_a_trial(tmp_path: Path, stack: Any) -> None:
    def interrupted(problem: Problem, trials: Any, *, on_epoch: Callable[..., None], **others: Any) -> Any:
        def watch(index: int, point: Any) -> None:
            on_epoch(index, point)
            if index == 3 and point.epoch == 1:
                raise KeyboardInterrupt

        return train(problem, trials, on_epoch=watch, **others)

    options: dict[str, Any] = {"trials": 3, "seeds": 1, "progress": False, "out": tmp_path, "stack": stack}
    part = compare(digits(), ["sgd", "adam"], _train=interrupted, **options)
    assert not part.complete
    assert part.notes[0].startswith("Interrupted. Go on with `fallline resume ")
    whole = compare(digits(), ["sgd", "adam"], **options)
    undisturbed = compare(digits(), ["sgd", "adam"], **{**options, "out": None})
    assert whole.complete
    for resumed, other in zip(whole.rules, undisturbed.rules, strict=True):
        assert [t.score for t in resumed.search] == [t.score for t in other.search]
        assert [t.test_loss for t in resumed.tuned] == [t.test_loss for t in other.tuned]


def test_a_missing_problem_is_told() -> None:
    with pytest.raises(ValueError, match=r"unknown problem 'digit'.*digits"):
        compare("digit", progress=False)
