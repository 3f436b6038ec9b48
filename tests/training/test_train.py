"""Training as its caller sees it: the numbers of a plain PyTorch loop, paired seeds, divergence that stays its own."""

from __future__ import annotations

import math
import random
import re
from contextlib import nullcontext
from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from fallline import optim
from fallline.errors import InputError
from fallline.problems import Metric, Problem, Stream, derive
from fallline.training import Outcome, Point, evaluate, train

NO_LOSS = -1.0
"""Stands for the training loss that an untrained model does not have."""


def numbers(outcome: Outcome) -> list[tuple[float | None, ...]]:
    """What an outcome says about the model, without its times."""
    points = [
        (p.epoch, p.step, NO_LOSS if p.train_loss is None else p.train_loss, p.valid_loss, p.valid_metric)
        for p in outcome.curve
    ]
    return [*points, (outcome.test_loss, outcome.test_metric)]


def all_of(problem: Problem, trials, **given) -> dict[int, Outcome]:
    return dict(chain.from_iterable(train(problem, trials, **given)))


def close(a, b) -> bool:
    """The same but for the last bits of sums, in which a stack may differ."""
    return bool(np.allclose(np.array([x for row in a for x in row], float), [x for row in b for x in row], rtol=1e-5))


def one(problem: Problem, trial) -> Outcome:
    (((_, outcome),),) = train(problem, [trial])
    return outcome


@torch.no_grad()
def scores(model: nn.Module, part) -> tuple[float, float]:
    outputs = model.eval()(part.x)
    model.train()
    return float(F.cross_entropy(outputs, part.y)), float((outputs.argmax(1) == part.y).float().mean())


def plain_loop(problem: Problem, seed: int, optimizer) -> list[tuple[float | None, ...]]:
    """The numbers of a trial, written the ordinary way."""
    torch.manual_seed(seed)
    model = problem.model()
    step, points = 0, [(0, 0, NO_LOSS, *scores(model, problem.valid))]
    stepper = optimizer(model.parameters())
    for epoch in range(1, problem.epochs + 1):
        order = torch.randperm(
            len(problem.train), generator=torch.Generator().manual_seed(derive(seed, "order", epoch))
        )
        losses = 0.0
        for i in range(0, len(order), problem.batch_size):
            batch = order[i : i + problem.batch_size]
            loss = F.cross_entropy(model(problem.train.x[batch]), problem.train.y[batch])
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            losses += loss.item() * len(batch)
            step += 1
        points.append((epoch, step, losses / len(order), *scores(model, problem.valid)))
    return [*points, scores(model, problem.test)]


def test_the_numbers_are_those_of_a_plain_loop(make, trial):
    problem = make()
    expected = plain_loop(problem, 3, lambda p: torch.optim.SGD(p, lr=0.1))
    got = numbers(one(problem, trial("sgd", seed=3, lr=0.1)))
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)


def test_with_pytorchs_optimizer_they_are_exactly_those_of_a_plain_loop(make, trial, monkeypatch):
    class Theirs(torch.optim.Adam):
        evaluating = staticmethod(nullcontext)

    monkeypatch.setattr(optim, "optimizer", lambda rule, p, **settings: Theirs(p, **settings))
    # one batch for each evaluation, so that sums over examples come in one order
    problem = make(batch_size=40)
    got = numbers(one(problem, trial("adam", seed=5, lr=0.01)))
    expected = plain_loop(problem, 5, lambda p: torch.optim.Adam(p, lr=0.01))
    for mine, theirs in zip(got, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-7)


def test_a_trial_learns_and_reports_its_course(make, trial):
    problem = make(epochs=6)
    told: list[tuple[int, Point]] = []
    trials = [trial("adam", lr=0.01), trial("sgd", seed=1, kind="search", lr=0.1)]
    outcomes = all_of(problem, trials, on_epoch=lambda index, point: told.append((index, point)))
    assert sorted(outcomes) == [0, 1]
    for index, outcome in outcomes.items():
        assert (outcome.state, outcome.reason) == ("finished", "")
        assert [p.epoch for p in outcome.curve] == list(range(7))
        assert [p.step for p in outcome.curve] == [9 * k for k in range(7)]
        assert outcome.steps == 54
        assert outcome.curve[0].train_loss is None
        assert outcome.curve[0].seconds == 0
        assert outcome.curve[-1].valid_loss < outcome.curve[0].valid_loss
        seconds = [p.seconds for p in outcome.curve]
        assert seconds == sorted(seconds)
        assert outcome.seconds == seconds[-1]
        assert 0 < outcome.step_seconds < outcome.seconds
        assert tuple(point for i, point in told if i == index) == outcome.curve
    assert outcomes[0].test_metric > 0.6
    assert (outcomes[1].test_loss, outcomes[1].test_metric) == (None, None)


def test_the_outcome_depends_on_the_trial_alone(make, trial):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 3)))
    first = one(problem, trial("adam", seed=2, lr=0.01))
    torch.manual_seed(99)
    others = [trial("sgd", seed=4, lr=1e30), trial("adam", seed=2, lr=0.01), trial("adam", seed=3, lr=0.01)]
    outcomes = all_of(problem, others)
    assert close(numbers(outcomes[1]), numbers(first))
    assert not close(numbers(outcomes[2]), numbers(first))


class Watched(nn.Module):
    """A network that keeps its initial weights, the inputs it saw in training and the dropout it drew."""

    seen: list[torch.Tensor] = []

    @classmethod
    def of_the_last_trial(cls) -> list[torch.Tensor]:
        """Weights, then input and dropout of 4 epochs of 9 steps."""
        return cls.seen[-(1 + 4 * 9 * 2) :]

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)
        self.seen.append(self.layer.weight.detach().clone())

    def forward(self, x):
        if self.training:
            noise = torch.rand(len(x), 1)
            self.seen.extend((x.clone(), noise))
            return self.layer(x) * noise
        return self.layer(x)


def test_rules_are_paired_by_seed_in_weights_dropout_and_data_order(make, trial):
    problem = make(Watched)
    seen = []
    for name, seed in (("sgd", 7), ("adam", 7), ("adam", 8)):
        one(problem, trial(name, seed=seed, lr=0.01))
        seen.append(Watched.of_the_last_trial())
    assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(seen[0], seen[2], strict=True))


def test_dropout_is_the_same_however_much_evaluation_draws(make, trial):
    class Drawing(Watched):
        def forward(self, x):
            if not self.training and Drawing.draws:
                torch.rand(3)
            return super().forward(x)

    seen = []
    for Drawing.draws in (False, True):
        one(make(Drawing), trial("sgd", lr=0.01))
        seen.append(Watched.of_the_last_trial())
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


@pytest.fixture
def two_threads():
    """PyTorch on two threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_the_callers_state_is_left_alone(make, trial):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(), nn.Linear(8, 3)))
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002

    def same() -> bool:
        now = np.random.get_state()[1]  # noqa: NPY002
        return (
            torch.equal(torch.get_rng_state(), states[0])
            and random.getstate() == states[1]
            and (now == states[2]).all()
            and torch.get_num_threads() == 2
            and torch.is_grad_enabled()
        )

    during: list[bool] = []
    for _ in train(
        problem,
        [trial(lr=0.1), trial(lr=1e30)],
        on_epoch=lambda index, point: during.append(same()),
    ):
        assert same()
    assert all(during)


@pytest.mark.parametrize("kind", ["search", "tuned"])
def test_a_diverged_trial_stops_within_an_epoch_and_is_worth_its_untrained_model(make, trial, kind):
    problem = make(batch_size=1, epochs=3)
    outcome = one(problem, trial("sgd", kind=kind, lr=1e20))
    assert outcome.state == "diverged"
    assert "the training loss was" in outcome.reason
    assert "(epoch 1)" in outcome.reason
    assert outcome.steps < len(problem.train)
    assert [p.epoch for p in outcome.curve] == [0]
    loss, metric = scores(problem.build(0), problem.test)
    if kind == "tuned":
        assert (outcome.test_loss, outcome.test_metric) == pytest.approx((loss, metric))
    else:
        assert (outcome.test_loss, outcome.test_metric) == (None, None)


def test_a_diverged_trial_touches_no_other(make, trial):
    problem = make()
    alone = one(problem, trial("adam", lr=0.01))
    outcomes = all_of(problem, [trial(lr=1e30), trial("adam", lr=0.01), trial(lr=1e30)])
    assert [outcomes[k].state for k in range(3)] == ["diverged", "finished", "diverged"]
    assert close(numbers(outcomes[1]), numbers(alone))


class Line(nn.Module):
    """One weight, started at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.weight * x


def line(loss, n=64, **settings) -> Problem:
    x = torch.ones(n, 1)
    return Problem(Line, (x, x), (x, x), (x, x), loss=loss, metric="loss", epochs=3, **settings)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (lambda o, t: (o.mean() - 1) * math.inf if float(o.mean()) < 0.9 else o.mean(), "loss was infinite"),
        (lambda o, t: o.mean() * (math.nan if float(o.mean()) < 0.9 else 1), "was not a number .NaN."),
        (lambda o, t: o.mean() * (1 if float(o.mean()) > 0.9 else 1e6), r"was 8e\+05 at step 3 \(epoch 1\), above"),
    ],
)
def test_the_reason_is_written_for_a_person(trial, loss, reason):
    outcome = one(line(loss, batch_size=16), trial("sgd", lr=0.1))
    assert outcome.state == "diverged"
    assert re.search(reason, outcome.reason), outcome.reason


def test_weights_that_end_unusable_are_divergence_though_every_training_loss_was_finite(trial):
    # one step an epoch: its loss is taken before the weights break
    outcome = one(line(lambda o, t: (o - t - 1).square().mean(), batch_size=64), trial("sgd", lr=1e30))
    assert outcome.state == "diverged"
    assert outcome.reason.startswith("the validation loss was infinite after epoch 1")
    assert (outcome.steps, len(outcome.curve)) == (1, 1)


def test_a_model_that_fails_once_its_weights_are_lost_has_diverged(trial):
    def picky(outputs, targets):
        if not bool(torch.isfinite(outputs).all()):
            raise ValueError("outputs must be finite")
        return (outputs - targets - 1).square().mean()

    outcome = one(line(picky, batch_size=16), trial("sgd", lr=1e39))
    assert outcome.state == "diverged"
    assert "the weights were no longer usable in epoch 1 (ValueError: outputs must be finite)" in outcome.reason


def test_a_model_that_fails_for_another_reason_is_an_error(make, trial):
    class Failing(nn.Linear):
        calls = 0

        def forward(self, x):
            Failing.calls += 1
            if Failing.calls > 20:
                raise ValueError("the disk is full")
            return super().forward(x)

    with pytest.raises(ValueError, match="the disk is full"):
        one(make(lambda: Failing(5, 3)), trial(lr=0.01))


class Kept(Dataset):
    """The same examples behind a Dataset that cannot be looked into."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        self.inner = TensorDataset(*tensors)

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index):
        return self.inner[index]


def test_a_dataset_trains_with_its_order_from_the_seed(make, trial):
    problem = make()
    parts = (Kept(part.x, part.y) for part in (problem.train, problem.valid, problem.test))
    streamed = Problem(problem.model, *parts, batch_size=10, epochs=4)
    assert isinstance(streamed.train, Stream)
    first, again = (one(streamed, trial("adam", lr=0.01)) for _ in range(2))
    assert numbers(first) == numbers(again)
    assert first.curve[0].valid_loss == pytest.approx(one(problem, trial()).curve[0].valid_loss)
    assert first.test_metric > 0.6


def test_an_evaluation_is_the_mean_over_examples_in_evaluation_mode(make):
    problem = make(
        lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3)), batch_size=3
    )
    model = problem.build(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    # 83 examples in batches of 24 and a rest
    assert evaluate(model, problem, problem.train) == pytest.approx(scores(model, problem.train), rel=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


def test_a_model_that_works_in_place_does_not_change_the_data(make, trial):
    problem = make(lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 3)))
    splits = problem.train, problem.valid, problem.test
    before = [part.x.clone() for part in splits]
    one(problem, trial("sgd", lr=0.1))
    assert all(torch.equal(part.x, x) for part, x in zip(splits, before, strict=True))


def test_a_metric_that_gives_the_mean_of_its_batch_counts_by_examples(make):
    right = Metric("right", lambda o, t: (o.argmax(1) == t).float().mean(), maximize=True)
    problem = make(metric=right, batch_size=3)
    model = problem.build(0)
    assert evaluate(model, problem, problem.train).metric == pytest.approx(scores(model, problem.train)[1])


def test_only_parameters_that_can_be_trained_are(make, trial):
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fixed, self.free = nn.Linear(5, 8).requires_grad_(False), nn.Linear(8, 3)
            made.append(self)

        def forward(self, x):
            return self.free(self.fixed(x).tanh())

    made: list[Half] = []
    problem = make(Half)
    made.clear()
    one(problem, trial("adam", lr=0.1))
    trained, untrained = made[-1], problem.build(0)
    assert torch.equal(trained.fixed.weight, untrained.fixed.weight)
    assert not torch.equal(trained.free.weight, untrained.free.weight)


def test_wrong_trials_are_refused_before_any_training(make, trial):
    problem = make()
    told: list[int] = []
    for wrong, message in (
        (trial("sgd", lr=-1.0), "lr"),
        (trial("sgd", learning_rate=0.1), "unknown hyper-parameter"),
        (trial("sgd", kind="serch"), "kind of a trial must be one of search, default, tuned"),
    ):
        with pytest.raises(InputError, match=message):
            train(problem, [trial(), wrong], on_epoch=lambda index, point: told.append(index))
    assert told == []


def test_no_trials_no_outcomes(make):
    assert list(train(make(), [])) == []
