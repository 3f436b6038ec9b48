"""Trials of modified rules: evaluated at averages, trained with two gradients a step, stacked and alone alike."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from fallline import optim
from fallline.problems import Problem
from fallline.rules import get
from fallline.study import compare
from fallline.training import Execution, Outcome, Trial, evaluate, train
from fallline.training.alone import Alone
from fallline.training.course import Course
from fallline.training.sweep import sweep

from .stopping import stop_every, train_in_pieces

ALONE = Execution()


def run(problem: Problem, trials, execution: Execution, **given) -> dict[int, Outcome]:
    return dict(chain.from_iterable(train(problem, trials, execution=execution, **given)))


def numbers(outcome: Outcome) -> np.ndarray:
    rows = [[p.epoch, p.step, p.train_loss or 0.0, p.valid_loss, p.valid_metric] for p in outcome.curve]
    return np.array([*chain.from_iterable(rows), outcome.test_loss or 0.0, outcome.test_metric or 0.0, outcome.steps])


@pytest.fixture
def no_fallback(monkeypatch):
    """Inside, trials that begin alone are an error: a stack that fails is trained again one by one."""

    @contextmanager
    def strict():
        with monkeypatch.context() as patch:
            patch.delattr(Alone, "begin")
            yield

    return strict()


def trials(names, kind="tuned") -> list[Trial]:
    return [Trial(get(name), {"lr": 0.03}, seed, kind, seed) for name in names for seed in range(2)]


@pytest.mark.parametrize("state", ["average", "slow"])
def test_the_scores_of_a_trial_are_those_of_its_average(make, state):
    """Trained by the trial's own loop, then scored by hand at the weights that the optimizer's state holds."""
    problem = make(epochs=2)
    rule = get("ema(adamw)" if state == "average" else "lookahead(adamw)")
    outcome = run(problem, [Trial(rule, {}, 0, "tuned")], ALONE)[0]
    crew = Alone(problem, [Course(0, Trial(rule, {}, 0, "tuned"))])
    crew.begin()
    while crew.epoch < problem.epochs:
        crew.advance(lambda: False)
    trained = evaluate(crew.model, problem, problem.test)
    with torch.no_grad():
        for p in crew.parameters:
            p.copy_(crew.optimizer.state[p][state])
    score = evaluate(crew.model, problem, problem.test)
    assert (score.loss, score.metric) == (outcome.test_loss, outcome.test_metric)
    assert score.loss != trained.loss


NAMES = [
    "ema(adamw)",
    "lookahead(momentum)",
    "ema(lookahead(clip_norm(sgd)))",
    "accumulate(ema(adam), micro_batches=2)",
]


@pytest.mark.parametrize("execution", [Execution(width=20), Execution(width=3)], ids=["one stack", "small stacks"])
def test_stacked_and_alone_evaluate_at_the_same_weights(make, execution, no_fallback):
    every = trials([*NAMES, "adamw"])
    alone = run(make(), every, ALONE)
    with no_fallback:
        together = run(make(), every, execution)
    for k in alone:
        np.testing.assert_allclose(numbers(together[k]), numbers(alone[k]), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "epochs"),
    [(["sam(momentum)"], 10), (["sam(sgd)", "asam(adam)", "adamw", "ema(sam(adamw))"], 3)],
    ids=["so long that the step is recorded", "several kinds"],
)
def test_stacked_and_alone_climb_to_the_same_points(make, names, epochs, no_fallback):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 3)), epochs=epochs)
    every = trials(names)
    alone = run(problem, every, ALONE)
    with no_fallback:
        together = run(problem, every, Execution(width=20))
    for k in alone:
        np.testing.assert_allclose(numbers(together[k]), numbers(alone[k]), rtol=1e-3, atol=1e-5)


def test_a_sweep_of_learning_rates_climbs_too(make):
    problem, rates = make(), [1e-3 * 1.5**k for k in range(12)]
    together = sweep(problem, get("sam(sgd)"), {"sam_rho": 0.2}, rates, [0, 1])
    plain = sweep(problem, get("sgd"), {}, rates, [0])[0]
    for seed, losses in enumerate(together):
        alone = sweep(problem, get("sam(sgd)"), {"sam_rho": 0.2}, rates, [seed])[0]
        np.testing.assert_allclose(losses, alone, rtol=1e-4)
    assert together[0][-1] != pytest.approx(plain[-1], rel=1e-3)


def test_a_trial_of_sam_is_a_plain_loop_with_a_closure(make):
    problem = make(epochs=2, batch_size=83)
    outcome = run(problem, [Trial(get("sam(sgd)"), {"lr": 0.1, "sam_rho": 0.2}, 3, "tuned")], ALONE)[0]
    model = problem.build(3)
    optimizer = optim.SGD(model.parameters(), lr=0.1, sam=0.2)
    x, y = problem.train.x, problem.train.y
    for _ in range(2):

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
    score = evaluate(model, problem, problem.test)
    assert outcome.test_loss == pytest.approx(score.loss, rel=1e-5)


@pytest.mark.parametrize("execution", [Execution(), Execution(width=8)], ids=["alone", "stacked"])
def test_stopped_between_steps_it_ends_with_the_same_bits(make, tmp_path, monkeypatch, execution):
    every, problem = trials(["ema(adamw)", "lookahead(sgd)", "sam(momentum)"]), make(epochs=3)
    undisturbed = run(problem, every, execution)
    stop_every(7, monkeypatch)
    finished = train_in_pieces(problem, every, tmp_path, execution=execution)
    assert {k: numbers(v).tolist() for k, v in finished.items()} == {
        k: numbers(v).tolist() for k, v in undisturbed.items()
    }


def test_a_comparison_names_modified_rules_as_text_and_goes_on_from_its_record(make, tmp_path, monkeypatch):
    rules = "adamw,ema(clip_norm(adamw, max_norm=0.5)),sam(momentum)"
    result = compare(make(epochs=2), rules, trials=2, seeds=2, out=tmp_path, progress=False, stack="off", processes=1)
    names = ["adamw", "ema(clip_norm(adamw, max_norm=0.5))", "sam(momentum)"]
    assert sorted(rule.name for rule in result.rules) == names
    monkeypatch.delattr(Alone, "begin")  # nothing is left to train
    again = compare(make(epochs=2), names, trials=2, seeds=2, out=tmp_path, progress=False, stack="off", processes=1)
    assert again.complete
    assert all(rule.rule is get(rule.name) for rule in again.rules)
