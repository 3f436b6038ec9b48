"""Early stopping: in a loop of one's own, and of trials, which count with their best epoch."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fallline import EarlyStopping, InputError
from fallline.problems import Problem
from fallline.rules import get
from fallline.training import Execution, Outcome, Rungs, Snapshots, Trial, evaluate, train
from fallline.training.alone import Alone

from .stopping import stop_every, train_in_pieces

EPOCHS, PATIENCE = 12, 2


def by_the_book(values: Sequence[Any], patience: int) -> tuple[int, int]:
    """Goodfellow, Bengio & Courville 2016, Algorithm 7.1: the epochs trained, and the best of them, from 1."""
    i = j = best = 0
    while j < patience and i < len(values):
        i, j = i + 1, j + 1
        if not best or values[i - 1] < values[best - 1]:
            j, best = 0, i
    return i, best


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 5), st.booleans())
def test_a_loop_stops_where_the_book_says(values, patience, maximize):
    stopping = EarlyStopping(patience, maximize=maximize)
    trained = next((n for n, value in enumerate(values, 1) if stopping.step(value)), len(values))
    told = [-value for value in values] if maximize else values
    assert (trained, stopping.best_epoch) == by_the_book(told, patience)


def test_the_weights_of_the_best_epoch_come_back():
    model, stopping = nn.Linear(1, 1, bias=False), EarlyStopping(2)
    for epoch, loss in enumerate([3.0, 1.0, 2.0, 2.0], 1):
        nn.init.constant_(model.weight, epoch)
        over = stopping.step(loss, model)
    assert over
    assert model.weight.item() == 4
    stopping.restore(model)
    assert model.weight.item() == 2
    with pytest.raises(InputError, match="no weights to restore"):
        EarlyStopping(2).restore(model)


def test_equal_values_are_told_apart_by_the_loss_and_nan_is_the_worst():
    stopping = EarlyStopping(5, maximize=True)
    for value, loss in [(math.nan, 1.0), (0.5, 1.0), (0.5, 0.8), (0.5, 0.8), (math.nan, 0.0), (0.4, 0.1)]:
        stopping.step(value, loss=loss)
    assert (stopping.best_epoch, stopping.best, stopping.loss) == (3, 0.5, 0.8)


def test_a_loop_goes_on_from_a_checkpoint():
    model, values = nn.Linear(2, 1), [3.0, 1.0, 2.0, 0.5, 0.6, 0.7, 0.1]
    whole, pieces = EarlyStopping(2), EarlyStopping(2)
    trained = next(n for n, value in enumerate(values, 1) if whole.step(value, model))
    for value in values:
        over = pieces.step(value, model)
        file = io.BytesIO()
        torch.save(pieces.state_dict(), file)
        file.seek(0)
        pieces = EarlyStopping(2)
        pieces.load_state_dict(torch.load(file, weights_only=True))
        if over:
            break
    assert (pieces.epoch, pieces.best_epoch, pieces.best) == (trained, 4, 0.5)
    pieces.restore(model)
    with pytest.raises(InputError, match="needs epoch, best_epoch"):
        pieces.load_state_dict({})


@pytest.mark.parametrize("patience", [0, -1, 1.5, True, "two"])
def test_a_patience_that_is_none_is_refused(make, patience):
    with pytest.raises(InputError, match="patience"):
        EarlyStopping(patience)
    with pytest.raises(InputError, match="patience"):
        make(patience=patience)


def with_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))


def trials() -> list[Trial]:
    """Some that are scored on test data and one that is not, of which some stop early."""
    wanted = [("momentum", 0.3, 0, "tuned"), ("momentum", 0.3, 1, "tuned"), ("adamw", 0.05, 0, "default")]
    wanted += [("adamw", 1e-4, 1, "tuned"), ("sgd", 3.0, 2, "search"), ("sgd", 1e12, 0, "tuned")]
    return [Trial(get(rule), {"lr": lr}, seed, kind, k) for k, (rule, lr, seed, kind) in enumerate(wanted)]


def run(problem: Problem, width: int = 1, **given) -> list[Outcome]:
    ended = dict(chain.from_iterable(train(problem, trials(), execution=Execution(width=width), **given)))
    return [ended[k] for k in range(len(trials()))]


def numbers(outcome: Outcome) -> np.ndarray:
    rows = [[p.epoch, p.step, p.train_loss or 0.0, p.valid_loss, p.valid_metric] for p in outcome.curve]
    return np.array([*chain.from_iterable(rows), outcome.test_loss or 0.0, outcome.test_metric or 0.0, outcome.steps])


@pytest.mark.parametrize(
    ("patience", "changes"),
    [(PATIENCE, {}), (PATIENCE, {"average": "ema(0.9)"}), (PATIENCE, {"schedule": "cosine"}), (EPOCHS, {})],
    ids=str,
)
def test_a_trial_is_the_beginning_of_one_without_patience_and_counts_with_its_best_epoch(make, patience, changes):
    plain, taken = make(with_norm, epochs=EPOCHS, **changes), {}
    steps = frozenset(9 * epoch for epoch in range(1, EPOCHS + 1))
    snapshots = Snapshots(steps, lambda index, step, weights: taken.update({(index, step // 9): weights}))
    patient, whole = run(plain.patient(patience)), run(plain, snapshots=snapshots)
    usual = "stopped early" if patience < EPOCHS else "finished"
    assert {outcome.state for outcome in patient} >= {usual, "diverged"}
    for index, (outcome, longer, trial) in enumerate(zip(patient, whole, trials(), strict=True)):
        if outcome.state == "diverged":
            assert numbers(outcome).tolist() == numbers(longer).tolist()
            continue
        trained, best = by_the_book([(-p.valid_metric, p.valid_loss) for p in longer.curve[1:]], patience)
        assert outcome.state == ("stopped early" if trained < EPOCHS else "finished")
        assert [p.valid_loss for p in outcome.curve] == [p.valid_loss for p in longer.curve[: trained + 1]]
        assert outcome.steps == 9 * trained
        if outcome.state == "stopped early":
            assert outcome.reason == f"no epoch was better than epoch {best} for {patience}"
        if trial.kind == "search":
            assert outcome.test_loss is None
        elif "average" not in changes:  # whose batch norms have other statistics at the end of an epoch
            model = plain.build(0)
            model.load_state_dict(taken[index, best])
            assert outcome.test_loss == pytest.approx(evaluate(model, plain, plain.test).loss, rel=1e-6)


def test_stacked_and_alone_stop_at_the_same_epochs(make, monkeypatch):
    problem = make(epochs=EPOCHS, patience=1)  # nothing in which last bits grow
    alone = run(problem)
    monkeypatch.delattr(Alone, "begin")  # a stack that fails is trained again one by one
    together = run(problem, width=6)
    assert len({outcome.steps for outcome in alone}) > 2
    for one, other in zip(together, alone, strict=True):
        assert one.state == other.state
        np.testing.assert_allclose(numbers(one), numbers(other), rtol=2e-3, atol=1e-4)


def bits(outcome: Outcome) -> list[object]:
    return [outcome.state, outcome.reason, *numbers(outcome).tolist()]


@pytest.mark.parametrize("width", [1, 6])
def test_stopped_between_steps_it_ends_with_the_same_bits(make, tmp_path, monkeypatch, width):
    problem = make(with_norm, epochs=EPOCHS, patience=PATIENCE)
    undisturbed = run(problem, width)
    stop_every(11, monkeypatch)
    finished = train_in_pieces(problem, trials(), tmp_path, execution=Execution(width=width))
    assert [bits(finished[k]) for k in range(len(trials()))] == [bits(outcome) for outcome in undisturbed]


@pytest.mark.parametrize("width", [1, 6])
def test_every_point_of_a_curve_is_told(make, width):
    told: list[list[int]] = [[] for _ in trials()]
    outcomes = run(
        make(with_norm, epochs=EPOCHS, patience=PATIENCE), width, on_epoch=lambda k, p: told[k].append(p.epoch)
    )
    assert told == [[point.epoch for point in outcome.curve] for outcome in outcomes]


def test_rungs_are_refused_beside_a_patience(make):
    with pytest.raises(InputError, match="both end trials early"):
        train(make(patience=2), trials(), rungs=Rungs((1,), lambda epoch, curves: set(curves)))


def test_a_problem_with_another_patience_is_another_problem(make):
    fingerprints = {make(patience=patience).fingerprint for patience in (None, 2, 3)}
    assert len(fingerprints) == 3
    assert make(patience=2).patient("none").fingerprint == make().fingerprint
    assert make().patient("3").patience == 3
