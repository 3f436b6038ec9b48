"""Augmented pictures in training: in a stack each trial sees what it sees alone, and a run sees what a trial sees."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from fallline.augmentation import Compose, CutMix, Flip, Mixup, RandomCrop
from fallline.problems import Problem
from fallline.rules import get
from fallline.runs import train as train_one
from fallline.training import Execution, Trial, train
from fallline.training.alone import Alone

pytest.importorskip("kornia")

AUGMENTED = {
    "flips and cutmix": Compose(Flip(), CutMix(classes=3)),
    "crops and mixup": Compose(RandomCrop(1), Mixup(0.4, classes=3)),
}
by_augmentation = pytest.mark.parametrize("augment", AUGMENTED.values(), ids=AUGMENTED)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 16, 3))


def problem(augment: Compose | None = None) -> Problem:
    x = torch.rand(70, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    y = torch.arange(70) % 3
    splits = [(x[a:b], y[a:b]) for a, b in ((0, 40), (40, 55), (55, 70))]
    return Problem(network, *splits, batch_size=16, epochs=3, augment=augment)


def losses(augment: Compose | None, trials: list[Trial], execution: Execution) -> list[list[float]]:
    ended = dict(chain.from_iterable(train(problem(augment), trials, execution=execution)))
    return [[value for p in ended[k].curve[1:] for value in (p.train_loss, p.valid_loss)] for k in range(len(trials))]


@by_augmentation
def test_a_stack_sees_what_each_trial_sees_alone(monkeypatch, augment):
    trials = [Trial(get("momentum"), {"lr": lr}, seed, "tuned") for seed, lr in ((0, 0.1), (1, 0.05), (0, 0.1))]
    alone = losses(augment, trials, Execution())
    plain = losses(None, trials[:1], Execution())
    monkeypatch.delattr(Alone, "begin")  # a stack that fails is trained again one by one
    together = losses(augment, trials, Execution(width=3))
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    assert alone[0] == alone[2]
    assert not np.allclose(alone[0], alone[1], rtol=1e-3)
    assert not np.allclose(alone[0], plain[0], rtol=1e-3)


@by_augmentation
def test_a_run_sees_what_a_trial_sees(augment):
    (alone,) = losses(augment, [Trial(get("momentum"), {"lr": 0.1}, 0, "tuned")], Execution())
    run = train_one(problem(augment), "momentum", lr=0.1)
    assert [value for row in run.history[1:] for value in (row.train_loss, row.valid_loss)] == alone
