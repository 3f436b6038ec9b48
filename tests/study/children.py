"""Comparisons in processes of their own, with the real training, for tests that kill them or run two at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fallline.problems import Problem, linear, whole
from fallline.study import compare
from fallline.training import Point, checkpoint, train
from tests.child import Child

OPTIONS: dict[str, Any] = {"rules": ["sgd", "adam"], "trials": 4, "seeds": 1, "progress": False}


def model(width: int = 8, share: float = 0.1) -> nn.Module:
    """A classifier with whatever has a state of its own: running statistics, dropout."""
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Dropout(share), nn.Linear(width, 2))


def noisy(x: Tensor, y: Tensor, *, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Inputs with noise."""
    return x + noise * torch.randn_like(x), y


def problem(searched: bool = False) -> Problem:
    """A tiny problem; with `searched`, one whose width and noise are searched too."""
    x = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
    space = {"width": whole(6, 8), "noise": linear(0, 0.3)} if searched else None
    return Problem(
        model, (x, (x[:, 0] * x[:, 1] > 0).long()), epochs=4, batch_size=16, augment=noisy, space=space, name="tiny"
    )


def run(out: str, searched: bool, often: bool, options: dict[str, Any], told: int) -> None:
    """Compare, and write a byte to the file `told` after every epoch of every trial."""
    torch.set_num_threads(1)
    if often:
        checkpoint._SECONDS, checkpoint._SHARE = 0.0, 1e9

    def telling(problem: Any, trials: Any, *, on_epoch: Callable[[int, Point], None], **others: Any) -> Any:
        def tell(index: int, point: Point) -> None:
            on_epoch(index, point)
            os.write(told, b".")

        return train(problem, trials, on_epoch=tell, **others)

    compare(problem(searched), out=out, _train=telling, **{**OPTIONS, **options})


class Study(Child):
    """A process that compares, and tells of every epoch. With `often` it writes a checkpoint after every step."""

    def __init__(self, out: Path, searched: bool = False, often: bool = False, **options: Any) -> None:
        super().__init__(_begin, str(out), searched, often, options)


def _begin(out: str, searched: bool, often: bool, options: dict[str, Any], writer: Any) -> None:
    run(out, searched, often, options, writer.fileno())


def numbers(result: Any) -> list[Any]:
    """All that a comparison trained, without what was measured by the clock."""
    trials = [t for rule in result.rules for t in (*rule.search, *rule.tuned, *rule.default)]
    return sorted(
        (t.rule, t.kind, t.number, sorted(t.own.items()), t.state, _scores(t.curve), t.test_loss, t.test_metric)
        for t in trials
    )


def _scores(curve: Sequence[Point]) -> list[Any]:
    return [(point.epoch, point.step, point.train_loss, point.valid_loss, point.valid_metric) for point in curve]
