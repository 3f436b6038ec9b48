"""A search end to end: batches that depend on those before, the problem's own hyper-parameters, what goes on where."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from fallline.errors import InputError
from fallline.problems import choice, linear, when, whole
from fallline.study import Halving, Hyperband, Result, compare
from fallline.study.record.record import Record
from fallline.study.search.batches import batch_size, batches
from fallline.training import Trial

from .children import OPTIONS, numbers, problem
from .standins import Problem, Training, closeness

OWN: dict[str, Any] = {
    "width": whole(4, 64, log=True),
    "activation": choice("relu", "leaky"),
    "slope": when(linear(0, 0.5), activation="leaky"),
}
HYPERBAND: dict[str, Any] = {"pruner": "hyperband"}
DEFAULTS = {"width": 16, "activation": "relu", "slope": 0.01}


def asked(training: Training) -> list[Any]:
    return [(t.rule.name, t.number, dict(t.settings), dict(t.own)) for t in training.trained if t.kind == "search"]


def wide(trial: Trial) -> float:
    """Better with a learning rate near 0.01 and a width near 32."""
    return closeness(trial) - 0.05 * abs(math.log2(trial.own.get("width", 16) / 32))


def test_the_problems_own_hyper_parameters_are_searched_beside_the_rules() -> None:
    training = Training(wide)
    made = Problem(space=OWN, defaults=DEFAULTS)
    result = compare(made, ["sgd", "adam"], trials=8, seeds=2, progress=False, _train=training)
    by_number: dict[int, list[Any]] = {}
    for rule, number, _, own in asked(training):
        by_number.setdefault(number, []).append(own)
        assert ("slope" in own) == (own["activation"] == "leaky"), rule
    assert all(one == other for one, other in by_number.values())  # trial k is the same model under every rule
    for rule in result.rules:
        assert rule.best is not None
        assert all(t.own == rule.best.own for t in rule.tuned)
        assert all(t.own == {"width": 16, "activation": "relu"} for t in rule.default)
        assert rule.best.score == max(t.score for t in rule.search)


@pytest.mark.parametrize("sampler", ["tpe", "cma-es", "gp"])
def test_a_batch_depends_on_those_before_and_a_study_gone_on_with_asks_for_the_same(
    tmp_path: Path, sampler: str
) -> None:
    made = Problem(space={"width": OWN["width"]}, defaults={"width": 16})
    batch = 6 if sampler == "cma-es" else 4  # a generation of CMA-ES
    options: dict[str, Any] = {"trials": 8, "seeds": 1, "progress": False, "sampler": sampler, "batch": batch}
    whole_, other = Training(wide), Training(lambda trial: 1 - wide(trial))
    undisturbed = compare(made, ["sgd"], _train=whole_, **options)
    compare(made, ["sgd"], _train=other, **options)
    assert asked(other)[:batch] == asked(whole_)[:batch]
    assert asked(other)[batch:] != asked(whole_)[batch:]
    pieces = []
    for stop in (2, 3, 40):
        training = Training(wide, stop_after=stop)
        resumed = compare(made, ["sgd"], _train=training, out=tmp_path, **options)
        pieces += asked(training)
    assert pieces == asked(whole_)
    assert [r.test_metric for r in resumed.rules] == [r.test_metric for r in undisturbed.rules]


def test_diverged_trials_are_told_as_the_worst() -> None:
    def quality(trial: Trial) -> float | None:
        return None if trial.settings["lr"] > 0.05 else closeness(trial)

    for sampler in ("tpe", "cma-es"):
        training = Training(quality)
        compare(Problem(), ["sgd"], trials=48, seeds=1, progress=False, sampler=sampler, _train=training)
        diverged = [settings["lr"] > 0.05 for _, _, settings, _ in asked(training)]
        assert sum(diverged[24:]) < sum(diverged[:24])


def test_samplers_that_learn_work_in_batches_and_others_at_once() -> None:
    assert batch_size("random", None, 16) == batch_size("grid", None, 16) == 16
    assert [batch_size("tpe", None, trials) for trials in (1, 4, 16, 64, 1000)] == [1, 1, 4, 16, 16]
    training = Training()
    compare(Problem(), ["sgd", "adam"], trials=4, seeds=1, progress=False, batch=2, _train=training)
    assert [number for _, number, *_ in asked(training)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert batch_size("tpe", Halving(), 16) == 9
    assert batch_size("tpe", Hyperband(), 16) == 16


def test_the_batches_of_a_plan_cover_its_trials(tmp_path: Path) -> None:
    for options in (
        {},
        {"batch": 3},
        {"pruner": "halving"},
        {"pruner": "halving", "batch": 9},
        {"pruner": "hyperband"},
    ):
        compare(Problem(), ["sgd"], trials=16, seeds=1, progress=False, out=tmp_path, _train=Training(), **options)
        with Record.read(tmp_path) as record:
            plan = record.study(record.study_ids()[-1])[1]
        numbers = [number for batch in batches(plan) for number in batch.numbers]
        assert numbers == list(range(16))


def test_another_sampler_is_another_study_and_the_same_trials_are_reused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"trials": 4, "seeds": 2, "progress": False, "out": tmp_path}
    first = compare(Problem(), ["sgd"], _train=Training(), **options)
    training = Training()
    second = compare(Problem(), ["sgd"], _train=training, sampler="quasi-random", **options)
    assert first.study.id != second.study.id
    assert {t.kind for t in training.trained} <= {"search", "tuned"}
    assert compare(Problem(), ["sgd"], _train=Training(), **options).study.id == first.study.id


@pytest.mark.parametrize("stack", ["off", 4])
def test_a_real_model_whose_width_and_noise_are_searched(tmp_path: Path, stack: Any) -> None:
    options: dict[str, Any] = {**OPTIONS, "stack": stack, "processes": 1}
    result = compare(problem(searched=True), out=tmp_path, **options)
    assert result.complete
    widths = {t.own["width"] for rule in result.rules for t in rule.search}
    assert len(widths) > 1
    assert widths <= {6, 7, 8}
    assert all(t.own == {"width": 8, "noise": 0.1} for rule in result.rules for t in rule.default)
    assert numbers(Result.load(tmp_path)) == numbers(result)


WRONG = [
    ({"sampler": "randm"}, r"unknown sampler 'randm'\. Did you mean random"),
    ({"sampler": None}, "unknown sampler 'None'"),
    ({"batch": 0}, "batch=0 is not allowed"),
    ({"memory": "much"}, "memory='much' is not allowed; allowed are bytes, or sizes such as 8GiB"),
    ({"memory": 0}, "memory=0 is not allowed"),
    ({"memory": True}, "memory=True is not allowed"),
    ({"stack": "on"}, "stack='on' is not allowed; allowed are 'auto', 'off' and whole numbers from 1 up"),
    ({"stack": 0}, "stack=0 is not allowed"),
    ({"processes": 0}, "processes=0 is not allowed"),
    ({"out": "sqlite:///x.db"}, "out must be a directory; name a database as record=sqlite"),
    ({"record": "results"}, "record='results' is no database URL"),
    ({"problem": Problem(space={"lr": linear(0, 1)}, defaults={"lr": 0.1})}, "'lr' is a hyper-parameter of the rule"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_bad_input_is_told_before_any_training(wrong: dict[str, Any], message: str) -> None:
    training = Training()
    options = {"problem": Problem(), "rules": ["sgd"], "progress": False, **wrong}
    with pytest.raises(InputError, match=message):
        compare(_train=training, **options)
    assert training.trained == []
