"""Small problems for the tests of training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fallline.problems import Problem
from fallline.rules import get
from fallline.training import Trial


@pytest.fixture
def make() -> Callable[..., Problem]:
    """Make a problem of 3 noisy classes in 5 features, 83 training examples in batches of 10."""

    def of(model: Callable[[], nn.Module] | None = None, **changes: object) -> Problem:
        generator = torch.Generator().manual_seed(0)
        centers = torch.randn(3, 5, generator=generator)
        y = torch.randint(0, 3, (150,), generator=generator)
        x = centers[y] + 0.5 * torch.randn(150, 5, generator=generator)
        settings = {"batch_size": 10, "epochs": 4} | changes
        splits = (x[:83], y[:83]), (x[83:120], y[83:120]), (x[120:], y[120:])
        return Problem(
            model or (lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))), *splits, **settings
        )

    return of


@pytest.fixture
def trial() -> Callable[..., Trial]:
    """Make a trial of a rule by name."""

    def of(rule: str = "sgd", seed: int = 0, kind: str = "tuned", **settings: float) -> Trial:
        return Trial(get(rule), settings, seed, kind)

    return of
