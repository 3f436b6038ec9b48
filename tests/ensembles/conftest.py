"""Small problems for the tests of ensembles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fallline.problems import Problem


@pytest.fixture
def make() -> Callable[..., Problem]:
    """Make a problem of 3 noisy classes in 5 features, 80 training examples in batches of 10."""

    def of(model: Callable[[], nn.Module] | None = None, **changes: object) -> Problem:
        generator = torch.Generator().manual_seed(0)
        centers = torch.randn(3, 5, generator=generator)
        y = torch.randint(0, 3, (150,), generator=generator)
        x = centers[y] + 0.7 * torch.randn(150, 5, generator=generator)
        splits = (x[:80], y[:80]), (x[80:115], y[80:115]), (x[115:], y[115:])
        settings = {"batch_size": 10, "epochs": 6} | changes
        return Problem(
            model or (lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))), *splits, **settings
        )

    return of
