"""Trials of problems with an average: judged at it, alone and stacked, against PyTorch's own loops."""

from __future__ import annotations

from itertools import chain, islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from fallline.errors import InputError
from fallline.problems import derive, generator
from fallline.rules import get
from fallline.study import compare, resume
from fallline.training import Execution, Snapshots, Trial, evaluate, train
from fallline.training.alone import Alone
from fallline.training.sweep import sweep

from .stopping import stop_every, train_in_pieces

ALONE = Execution()
KINDS = ["ema(0.9)", "polyak(start=25%)", "swa(start=50%, every=4)"]


def run(problem, trials, execution=ALONE, **given):
    return dict(chain.from_iterable(train(problem, trials, execution=execution, **given)))


def numbers(outcome) -> np.ndarray:
    rows = [[p.epoch, p.step, p.train_loss or 0.0, p.valid_loss, p.valid_metric] for p in outcome.curve]
    return np.array([*chain.from_iterable(rows), outcome.test_loss or 0.0, outcome.test_metric or 0.0, outcome.steps])


def trials(*names: str) -> list[Trial]:
    return [Trial(get(name), {"lr": 0.03}, seed, "tuned", seed) for name in names for seed in range(2)]


def with_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("text", "how"),
    [("ema(0.9, debias=off)", {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}), ("polyak", {})],
    ids=["ema", "polyak"],
)
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
def test_a_trial_is_judged_where_pytorch_s_average_is(make, text, how, norm):
    problem = make(with_norm if norm else None, average=text)
    outcome = run(problem, [Trial(get("momentum"), {"lr": 0.05, "momentum": 0.9}, 0, "tuned")])[0]
    model = problem.build(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    average = AveragedModel(model, **how)
    for epoch in range(1, problem.epochs + 1):
        order = generator(derive(0, "order", epoch))
        for x, y in problem.train.batches(problem.batch_size, torch.device("cpu"), order):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            average.update_parameters(model)
        order = generator(derive(0, "recalibrate", epoch))
        batches = islice(problem.train.batches(problem.batch_size, torch.device("cpu"), order), 64)
        update_bn(batches, average)
        score = evaluate(average.module, problem, problem.valid)
        assert outcome.curve[epoch].valid_loss == pytest.approx(score.loss, rel=1e-5)
    assert outcome.test_loss == pytest.approx(evaluate(average.module, problem, problem.test).loss, rel=1e-5)
    assert outcome.test_loss != pytest.approx(evaluate(model, problem, problem.test).loss, rel=1e-4)


@pytest.mark.parametrize("text", KINDS)
def test_stacked_and_alone_are_judged_at_the_same_averages(make, monkeypatch, text):
    every = [*trials("momentum", "adamw"), Trial(get("sgd"), {"lr": 1e12}, 0, "tuned")]
    alone = run(make(average=text), every)
    monkeypatch.delattr(Alone, "begin")  # a stack that fails is trained again one by one
    together = run(make(average=text), every, Execution(width=9))
    assert together[4].state == alone[4].state == "diverged"
    for k in range(4):
        np.testing.assert_allclose(numbers(together[k]), numbers(alone[k]), rtol=1e-3, atol=1e-5)


def test_before_an_average_begins_a_trial_is_judged_at_its_weights(make):
    plain, late = (run(make(**more), trials("sgd"))[0] for more in ({}, {"average": "swa(start=75%)"}))
    assert [p.valid_loss for p in plain.curve[:4]] == [p.valid_loss for p in late.curve[:4]]
    assert plain.test_loss != late.test_loss
    assert [p.train_loss for p in plain.curve] == [p.train_loss for p in late.curve]


def test_models_with_batch_norm_are_trained_one_by_one(make):
    alone = run(make(with_norm, average="ema(0.9)"), trials("momentum"))
    asked = run(make(with_norm, average="ema(0.9)"), trials("momentum"), Execution(width=2))
    assert {k: numbers(v).tolist() for k, v in asked.items()} == {k: numbers(v).tolist() for k, v in alone.items()}


@pytest.mark.parametrize(
    ("execution", "norm"),
    [(ALONE, False), (ALONE, True), (Execution(width=8), False)],
    ids=["alone", "with batch norm", "stacked"],
)
def test_stopped_between_steps_it_ends_with_the_same_bits(make, tmp_path, monkeypatch, execution, norm):
    every, problem = trials("momentum", "ema(adamw)"), make(with_norm if norm else None, average="swa(25%, 2)")
    undisturbed = run(problem, every, execution)
    stop_every(11, monkeypatch)
    finished = train_in_pieces(problem, every, tmp_path, execution=execution)
    assert {k: numbers(v).tolist() for k, v in finished.items()} == {
        k: numbers(v).tolist() for k, v in undisturbed.items()
    }


@pytest.mark.parametrize("execution", [ALONE, Execution(width=2)], ids=["alone", "stacked"])
def test_weights_taken_are_the_averages(make, execution):
    problem, taken = make(average="polyak"), {}
    last = problem.follow().steps
    snapshots = Snapshots(frozenset([last]), lambda index, step, weights: taken.update({index: weights}))
    outcomes = run(problem, trials("sgd"), execution, snapshots=snapshots)
    for index, outcome in outcomes.items():
        model = problem.build(0)
        model.load_state_dict(taken[index])
        assert evaluate(model, problem, problem.test).loss == pytest.approx(outcome.test_loss, rel=1e-5)


def test_a_sweep_of_learning_rates_needs_no_average(make):
    rates = [1e-3 * 1.2**k for k in range(60)]
    found = sweep(make(average="swa"), get("sgd"), {}, rates, [0, 1])
    assert found == sweep(make(), get("sgd"), {}, rates, [0, 1])


def losses(result) -> list[float]:
    return [trial.test_loss for trial in result.rules[0].tuned]


def test_a_comparison_is_told_the_average_and_goes_on_with_it(make, tmp_path):
    options = {"trials": 1, "seeds": 2, "progress": False, "stack": "off", "processes": 1}
    plain = compare(make(), "sgd", **options)
    result = compare(make(), "sgd", average="polyak", out=tmp_path, **options)
    assert "Every trial is judged at an average of its weights: polyak." in result.notes
    assert losses(result) != losses(plain)
    of_problem = compare(make(average="polyak"), "sgd", **options)
    assert losses(of_problem) == losses(result)
    without = compare(make(average="polyak"), "sgd", average="none", **options)
    assert losses(without) == losses(plain)


PROBLEM = """
import torch
import fallline
from torch import nn

x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
problem = fallline.Problem(lambda: nn.Linear(4, 2), train=(x, (x[:, 0] > 0).long()), epochs=2)
"""


def test_a_study_is_resumed_with_its_average(tmp_path):
    (tmp_path / "mine.py").write_text(PROBLEM)
    options = {"trials": 1, "seeds": 2, "progress": False, "stack": "off", "processes": 1}
    first = compare(f"{tmp_path / 'mine.py'}:problem", "sgd", average="ema(0.9)", out=tmp_path / "kept", **options)
    again = resume(tmp_path / "kept", progress=False)
    assert losses(again) == losses(first)


@pytest.mark.parametrize(
    ("average", "said"),
    [("emma", "Did you mean ema"), ("swa(start=5000)", "the run ends after 36"), ("ema(2)", "below 1")],
)
def test_averages_that_do_not_fit_are_refused_when_the_problem_is_made(make, average, said):
    with pytest.raises(InputError, match=said):
        make(average=average)
    with pytest.raises(InputError, match=said):
        compare(make(), "sgd", average=average, progress=False)


def test_a_problem_with_another_average_is_another_problem(make):
    fingerprints = {make(average=average).fingerprint for average in (None, "ema", "polyak")}
    assert len(fingerprints) == 3
    assert make(average="ema").averaged(None).fingerprint == make().fingerprint
