"""Weights taken from trials on the way: what they are, whoever trains them, and that training does not notice."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from torch import nn

from fallline.rules import get
from fallline.training import Execution, Snapshots, Trial, evaluate, train
from fallline.training.alone import Alone
from fallline.training.course import Course

HOW = {"alone": Execution(), "stacked": Execution(width=9), "processes": Execution(processes=2)}


def run(problem, trials, execution, steps=()):
    taken = {}
    snapshots = Snapshots(frozenset(steps), lambda index, step, weights: taken.update({(index, step): weights}))
    outcomes = dict(chain.from_iterable(train(problem, trials, execution=execution, snapshots=snapshots)))
    return outcomes, taken


def load(model: nn.Module, weights) -> nn.Module:
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        value.data.copy_(weights[name])
    return model


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ("alone", "momentum"),
        ("alone", "ema(momentum)"),
        ("stacked", "momentum"),
        ("stacked", "ema(momentum)"),
        ("processes", "ema(momentum)"),
    ],
)
def test_the_last_weights_score_as_the_trial_did(make, how, rule):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)))
    last = problem.follow().steps
    outcomes, taken = run(problem, [Trial(get(rule), {}, seed, "tuned") for seed in (0, 1)], HOW[how], [5, last])
    assert sorted(taken) == [(0, 5), (0, last), (1, 5), (1, last)]
    for index, outcome in outcomes.items():
        score = evaluate(load(problem.build(0), taken[index, last]), problem, problem.test)
        assert score == pytest.approx((outcome.test_loss, outcome.test_metric), rel=1e-4)
        early = evaluate(load(problem.build(0), taken[index, 5]), problem, problem.test)
        assert early.loss != pytest.approx(score.loss, rel=1e-3)


def test_they_are_copies_taken_after_that_many_updates(make):
    problem = make()
    _, taken = run(problem, [Trial(get("sgd"), {"lr": 0.1}, 0, "search")], Execution(), [1, 3, 9, 33])
    crew = Alone(problem, [Course(0, Trial(get("sgd"), {"lr": 0.1}, 0, "search"))])
    crew.begin()
    seen = {}

    def look() -> bool:
        seen[crew.course.steps] = {name: p.detach().clone() for name, p in crew.model.named_parameters()}
        return False

    while crew.epoch < problem.epochs:
        crew.advance(look)
    for (_, step), weights in taken.items():
        assert all(torch.equal(weights[name], seen[step][name]) for name in weights), step


def test_training_does_not_notice(make):
    problem, trials = make(), [Trial(get("ema(adamw)"), {}, seed, "tuned") for seed in (0, 1)]
    for execution in (Execution(), Execution(width=2)):
        plain, _ = run(problem, trials, execution)
        taken, _ = run(problem, trials, execution, range(1, 37))
        for index in plain:
            assert plain[index].test_loss == taken[index].test_loss
            assert [p.train_loss for p in plain[index].curve] == [p.train_loss for p in taken[index].curve]


def test_a_trial_that_left_gives_no_more(make):
    problem = make()
    trials = [Trial(get("sgd"), {"lr": lr}, 0, "search") for lr in (0.1, 1e12)]
    outcomes, taken = run(problem, trials, Execution(width=2), [36])
    assert outcomes[1].state == "diverged"
    assert list(taken) == [(0, 36)]
