"""Small problems and data for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

Examples = tuple[Tensor, Tensor]


@pytest.fixture
def examples() -> Examples:
    """100 points of three features in four classes."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(100, 3, generator=generator), torch.randint(0, 4, (100,), generator=generator)


@pytest.fixture
def net() -> type[nn.Module]:
    """A class that gives a classifier of three features into four classes."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x)

    return Net


@pytest.fixture
def shared_data() -> Path:
    """The directory of real data sets, which stands beside the checkout where there is one."""
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return path
