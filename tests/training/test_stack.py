"""Trials in a stack: the numbers that each has alone, whoever shares the stack, and what leaves it."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fallline import rule
from fallline.problems import Problem
from fallline.rules import get, names
from fallline.rules.rule import is_built_in
from fallline.training import Execution, Outcome, Rungs, Trial, calibrate, train

ALONE = Execution()


def run(problem: Problem, trials, execution: Execution, **given) -> dict[int, Outcome]:
    return dict(chain.from_iterable(train(problem, trials, execution=execution, **given)))


def stacked(problem: Problem, trials, **given) -> dict[int, Outcome]:
    return run(problem, trials, Execution(width=len(trials)), **given)


def numbers(outcome: Outcome) -> np.ndarray:
    rows = [[p.epoch, p.step, p.train_loss or 0.0, p.valid_loss, p.valid_metric] for p in outcome.curve]
    return np.array([*chain.from_iterable(rows), outcome.test_loss or 0.0, outcome.test_metric or 0.0, outcome.steps])


def assert_same(a: Outcome, b: Outcome, rel: float = 2e-4) -> None:
    assert (a.state, a.reason) == (b.state, b.reason)
    np.testing.assert_allclose(numbers(a), numbers(b), rtol=rel, atol=1e-5)


def mixed_trials(trial):
    """Three rules, three seeds, in no order."""
    return [
        trial(name, seed=seed, kind=("search", "tuned")[k % 2], lr=lr)
        for k, (name, seed, lr) in enumerate(
            [
                ("adam", 0, 0.01),
                ("sgd", 1, 0.1),
                ("adam", 2, 0.003),
                ("lion", 0, 0.001),
                ("sgd", 0, 0.3),
                ("adam", 0, 0.1),
            ]
        )
    ]


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)],
        lambda: [nn.Linear(5, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 3)],
        # no bias before the norm: its gradient is rounding noise, which Adam makes whole steps of
        lambda: [nn.Linear(5, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 3)],
        lambda: [nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)],
    ],
    ids=["mlp", "dropout", "batch norm", "convolution"],
)
def test_a_stacked_trial_has_the_numbers_of_the_same_trial_alone(make, trial, layers):
    problem = make(lambda: nn.Sequential(*layers()))
    trials = mixed_trials(trial)
    together, alone = stacked(problem, trials), run(problem, trials, ALONE)
    assert sorted(together) == list(range(len(trials)))
    for k in together:
        assert_same(together[k], alone[k])


def test_what_a_trial_gives_does_not_depend_on_its_company(make, trial):
    problem = make(lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 3)))
    trials = mixed_trials(trial)
    all_six = stacked(problem, trials)
    for chosen in ([5, 0], [2, 3, 1]):
        fewer = stacked(problem, [trials[k] for k in chosen])
        for place, k in enumerate(chosen):
            assert_same(fewer[place], all_six[k])


ALWAYS = {"adam", "adafactor", "muon", "nadam", "prodigy", "schedule_free_adamw"}
"""A rule of each sort; the others are a slow study."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ALWAYS else pytest.mark.slow)
        for name in names()
        if is_built_in(get(name))
    ],
)
def test_every_rule_steps_its_part_of_a_stack(make, trial, name):
    problem = make()
    trials = [Trial(get(name), get(name).defaults, seed, "search", seed) for seed in range(3)]
    trials += [trial("sgd", seed=9, kind="search", lr=0.1)]
    together, alone = stacked(problem, trials), run(problem, trials, ALONE)
    # a sign turns the last bit of a gradient near zero into a whole step; of a null space any basis is right
    rough = "sign" in name or name in ("lion", "rprop", "soap")
    for k in together:
        assert_same(together[k], alone[k], rel=2e-2 if rough else 1e-3)


def test_a_rule_that_no_kernel_can_print_steps_by_its_text(make, trial):
    @rule
    def by_its_text(p, g, m, *, t, lr=0.1):
        m = 0.9 * m + g.clamp(-1.0, 1.0).erf()
        return p - lr * m, m

    trials = [Trial(by_its_text, {"lr": lr}, 1, "tuned") for lr in (0.1, 0.2)]
    together, alone = stacked(make(), trials), run(make(), trials, ALONE)
    for k in together:
        assert_same(together[k], alone[k])


def test_states_of_several_shapes_train_in_stacks_of_their_own(make, trial):
    trials = [trial("galore", lr=0.01, rank=rank, update_proj_gap=100) for rank in (2, 3, 2, 128)]
    together, alone = stacked(make(), trials), run(make(), trials, ALONE)
    for k in together:
        assert_same(together[k], alone[k])


def test_a_trial_that_diverges_leaves_and_the_others_do_not_notice(make, trial):
    problem = make(epochs=5)
    trials = [
        trial("sgd", lr=0.1),
        trial("sgd", seed=3, lr=1e30),
        trial("adam", lr=0.01),
        trial("adam", seed=1, lr=1e12),
    ]
    ended = list(train(problem, trials, execution=Execution(width=4)))
    assert [index for index, _ in ended[0]] == [1] or 1 in dict(ended[0])
    outcomes = dict(chain.from_iterable(ended))
    alone = run(problem, trials, ALONE)
    assert outcomes[1].state == "diverged"
    for k in outcomes:
        assert (outcomes[k].state, len(outcomes[k].curve)) == (alone[k].state, len(alone[k].curve))
    for k in (0, 2):
        assert_same(outcomes[k], alone[k])
    assert outcomes[1].reason == alone[1].reason
    assert (outcomes[1].test_loss, outcomes[1].test_metric) == (alone[1].test_loss, alone[1].test_metric)


def test_models_of_several_shapes_train_in_stacks_of_their_own():
    def model(width: int = 4, drop: float = 0.0) -> nn.Module:
        return nn.Sequential(nn.Linear(5, width), nn.Dropout(drop), nn.Tanh(), nn.Linear(width, 3))

    from fallline.problems import linear, whole

    x = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))
    space = {"width": whole(2, 8), "drop": linear(0, 0.5)}
    problem = Problem(model, (x, x[:, :3].argmax(1)), epochs=3, batch_size=10, space=space)
    owns = [{"width": w, "drop": d} for w in (4, 8) for d in (0.0, 0.2, 0.4)]
    trials = [Trial(get("adam"), {"lr": 0.01}, seed, "search", k, own) for k, own in enumerate(owns) for seed in (0, 1)]
    together, alone = run(problem, trials, Execution(width=64)), run(problem, trials, ALONE)
    for k in together:
        assert_same(together[k], alone[k])


def test_augmentation_is_drawn_by_the_trials_own_seed():
    def augment(x, y, *, strength: float = 0.1):
        return x + strength * torch.randn_like(x), y

    from fallline.problems import linear

    x = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    problem = Problem(
        lambda: nn.Linear(5, 3),
        (x, x[:, :3].argmax(1)),
        epochs=3,
        batch_size=10,
        augment=augment,
        space={"strength": linear(0, 1)},
    )
    trials = [
        Trial(get("sgd"), {"lr": 0.1}, seed, "tuned", seed, {"strength": strength})
        for seed, strength in ((0, 0.0), (0, 0.5), (1, 0.5))
    ]
    together, alone = stacked(problem, trials), run(problem, trials, ALONE)
    for k in together:
        assert_same(together[k], alone[k])
    assert together[0].curve[-1].train_loss != together[1].curve[-1].train_loss


def test_a_loss_and_a_metric_of_the_users_own_are_stacked(make, trial):
    from fallline.problems import Metric

    def loss(outputs, targets):
        return (F.softmax(outputs, -1) - F.one_hot(targets, 3)).square().sum(-1).mean()

    first = Metric("first", lambda o, t: float((o.argmax(1) == t).float().mean()), maximize=True)
    problem = make(loss=loss, metric=first)
    trials = mixed_trials(trial)
    together, alone = stacked(problem, trials), run(problem, trials, ALONE)
    for k in together:
        assert_same(together[k], alone[k])


class Branching(nn.Module):
    """A model whose way depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        out = self.layer(x)
        return out * 2 if out.sum() > 0 else out


class Python(nn.Module):
    """A model that draws from a generator of its own, which no stack can see."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return self.layer(x) * float(np.random.rand())  # noqa: NPY002


@pytest.mark.parametrize(("model", "said"), [(Branching, "branch"), (Python, "another")])
def test_what_cannot_be_stacked_is_said_and_trained_one_by_one(make, trial, model, said):
    problem = make(model)
    trials = mixed_trials(trial)
    execution = calibrate(problem, trials, processes=1)
    assert execution.width == 1
    assert said in execution.reason
    alone = run(problem, trials, ALONE)
    for k, outcome in run(problem, trials, execution).items():
        assert (numbers(outcome) == numbers(alone[k])).all()


def test_a_stack_that_fails_on_the_way_goes_on_one_by_one(make, trial):
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.calls = nn.Linear(5, 3), 0

        def forward(self, x):
            self.calls += 1
            out = self.layer(x)
            return out * 1.0 if self.calls > 12 and out.sum() > 0 else out

    trials = mixed_trials(trial)
    together, alone = stacked(make(Late), trials), run(make(Late), trials, ALONE)
    assert sorted(together) == sorted(alone)
    for k in together:
        assert_same(together[k], alone[k])


def test_calibration_can_be_told(make, trial):
    problem, trials = make(), [trial("sgd", seed=k, lr=0.1) for k in range(40)]
    assert calibrate(problem, trials, stack=7).width == 7
    assert calibrate(problem, trials, stack="off").width == 1
    per_trial = 3_000
    assert 1 < calibrate(problem, trials, stack=40, memory=8 * per_trial).width < 40
    assert calibrate(problem, trials, stack=40, memory=10).width == 1


def test_rungs_end_trials_and_the_rest_go_on_as_if_they_were_alone(make, trial):
    problem = make(epochs=6)
    trials = [trial("sgd", seed=k, kind="search", lr=0.01 * 3**k) for k in range(6)]
    asked = {}

    def survivors(epoch, curves):
        asked[epoch] = {k: len(curve) for k, curve in curves.items()}
        ranked = sorted(curves, key=lambda k: curves[k][-1].valid_loss)
        return set(ranked[: math.ceil(len(ranked) / 2)])

    for execution in (Execution(width=6), Execution(width=4), ALONE):
        ended = list(train(problem, trials, execution=execution, rungs=Rungs((1, 3), survivors)))
        assert [len(part) for part in ended] == [3, 1, 2]
        assert asked == {1: dict.fromkeys(range(6), 2), 3: dict.fromkeys((dict(ended[1] + ended[2])), 4)}
        for _, outcome in ended[0]:
            assert (outcome.state, len(outcome.curve)) == ("pruned", 2)
            assert "after epoch 1" in outcome.reason
        alone = run(problem, trials, ALONE)
        for k, outcome in ended[2]:
            assert_same(outcome, alone[k])


class Masked(nn.Module):
    """A model that branches on a buffer, which is the same for all trials and never changes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)
        self.register_buffer("mask", torch.ones(5))

    def forward(self, x):
        return self.layer(x * self.mask if bool(self.mask.any()) else x)


def test_a_buffer_that_never_changes_may_decide(make, trial):
    problem, trials = make(Masked), mixed_trials(trial)
    assert calibrate(problem, trials, stack=6).width == 6
    together, alone = stacked(problem, trials), run(problem, trials, ALONE)
    for k in together:
        assert_same(together[k], alone[k])
