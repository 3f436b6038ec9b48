"""Problems that train in a moment, as modules so that other processes can make them too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from fallline.problems import Problem


def examples(count: int = 90) -> tuple[Tensor, Tensor]:
    """Points of four features whose class is the sign of a product."""
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] * x[:, 1] > 0).long()


def network() -> nn.Module:
    """Whatever has a state or random numbers of its own: running statistics, dropout."""
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2))


def plain_network() -> nn.Module:
    """Nothing random, nothing that depends on who else is in a batch."""
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def noisy(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs with noise."""
    return x + 0.1 * torch.randn_like(x), y


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Examples that are other ones each time they are asked for."""

    def __init__(self, count: int = 90) -> None:
        self.x, self.y = examples(count)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index] + 0.1 * torch.randn(4), self.y[index]


def signs() -> Problem:
    """90 examples in batches of 16, four epochs; the last batch is smaller."""
    x, y = examples(150)
    given = (x[:90], y[:90]), (x[90:120], y[90:120]), (x[120:], y[120:])
    return Problem(network, *given, batch_size=16, epochs=4, augment=noisy, name="signs")


def plain() -> Problem:
    """The same without anything random."""
    x, y = examples(150)
    given = (x[:90], y[:90]), (x[90:120], y[90:120]), (x[120:], y[120:])
    return Problem(plain_network, *given, batch_size=16, epochs=4, name="plain")


def streamed() -> Problem:
    """The same from a Dataset that draws random numbers."""
    return Problem(network, Noisy(), Noisy(30), Noisy(30), batch_size=16, epochs=4, name="streamed")
