"""Trials of rules that read curvature: given their estimates wherever trials are trained, one model at a time."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
import torch.nn.functional as F

from fallline import optim, rule
from fallline.problems import Problem, derive, seeded
from fallline.rules import REGISTRY, get
from fallline.training import Execution, Trial, calibrate, train
from fallline.training.sweep import sweep

EVERY = 4


@pytest.fixture
def own():
    """A rule of a user's own, which reads the estimate at every step."""

    @rule
    def diagonal_newton(p, g, hutchinson, *, t, lr=0.1):
        return p - lr * g / (0.1 + hutchinson.abs()), hutchinson

    yield diagonal_newton
    REGISTRY.pop("diagonal_newton")


def by_hand(problem: Problem, name: str, seed: int, **settings: float) -> list[list[float]]:
    """The losses of an ordinary loop: of every batch, and on validation data after every epoch."""
    torch.manual_seed(seed)
    model, losses, scores, taken = problem.model(), [], [], 0
    optimizer = optim.optimizer(name, model.parameters(), **settings)
    every = settings.get("every", 1)
    for epoch in range(1, problem.epochs + 1):
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = torch.randperm(len(problem.train), generator=generator)
        with seeded(derive(seed, "epoch", epoch)):
            for index in order.split(problem.batch_size):
                loss = F.cross_entropy(model(problem.train.x[index]), problem.train.y[index])
                optimizer.zero_grad()
                if taken % every == 0:
                    optimizer.estimate(loss)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                taken += 1
        with torch.no_grad():
            scores.append(float(F.cross_entropy(model(problem.valid.x), problem.valid.y)))
    return [losses, scores]


@pytest.mark.parametrize("width", [1, 8])
def test_trials_are_given_estimates_as_in_a_loop_by_hand(make, trial, own, width):
    problem = make(epochs=2)
    trials = [trial("sophia", seed=seed, kind="search", lr=0.02, every=EVERY) for seed in range(2)]
    trials += [trial("sgd", seed=seed, kind="search", lr=0.1) for seed in range(2)]
    trials += [Trial(own, {"lr": 0.05}, 1, "search")]
    ended = dict(chain.from_iterable(train(problem, trials, execution=Execution(width=width))))
    for k, settings in [(0, {"lr": 0.02, "every": EVERY}), (1, {"lr": 0.02, "every": EVERY}), (4, {"lr": 0.05})]:
        _, scores = by_hand(problem, trials[k].rule.name, trials[k].seed, **settings)
        assert [point.valid_loss for point in ended[k].curve[1:]] == pytest.approx(scores, rel=1e-5)
        assert ended[k].state == "finished"


def test_modifiers_around_the_rule_change_nothing_of_that(make):
    problem = make(epochs=1)
    settings = {"lr": 0.02, "every": EVERY, "max_norm": 0.1}
    rules = get("clip_norm(sophia)")
    (((_, outcome),),) = train(problem, [Trial(rules, settings, 0, "search")])
    _, scores = by_hand(problem, rules.name, 0, **settings)
    assert [point.valid_loss for point in outcome.curve[1:]] == pytest.approx(scores, rel=1e-5)


def test_a_sweep_of_rates_gives_them_too(make):
    problem = make(epochs=1)
    found = sweep(problem, get("sophia"), {"every": EVERY}, [0.02] * 5, [0, 1])
    for seed in range(2):
        losses, _ = by_hand(problem, "sophia", seed, lr=0.02, every=EVERY)
        assert found[seed] == pytest.approx(losses[:5], rel=1e-5)


def test_why_such_trials_are_not_stacked_is_said(make, trial):
    problem = make()
    found = calibrate(problem, [trial("sophia", seed=seed) for seed in range(3)], processes=1)
    assert found == Execution(1, 1, reason="estimates of curvature are made for one model at a time")
