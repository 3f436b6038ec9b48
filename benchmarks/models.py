"""Six small models, one for each family of layers, each with what a batch of its data looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLASSES = 10


@dataclass(frozen=True)
class Model:
    """A model of ten classes and the shape of one example: of numbers, or of tokens of so many kinds."""

    make: Callable[[], nn.Module]
    example: tuple[int, ...]
    tokens: int = 0

    def batch(self, examples: int, seed: int) -> tuple[Tensor, Tensor]:
        """Examples and their classes, drawn from a seed."""
        source = torch.Generator().manual_seed(seed)
        shape = (examples, *self.example)
        x = torch.randint(self.tokens, shape, generator=source) if self.tokens else torch.randn(shape, generator=source)
        return x, torch.randint(CLASSES, (examples,), generator=source)


def mlp() -> nn.Module:
    """The network of the digits problem."""
    return nn.Sequential(nn.Linear(64, 100), nn.Tanh(), nn.Linear(100, CLASSES))


def mlp_norm_dropout() -> nn.Module:
    """Two hidden layers with batch normalization and dropout."""
    return nn.Sequential(
        *(nn.Linear(64, 100), nn.BatchNorm1d(100), nn.ReLU(), nn.Dropout(0.2)),
        *(nn.Linear(100, 100), nn.BatchNorm1d(100), nn.ReLU(), nn.Dropout(0.2)),
        nn.Linear(100, CLASSES),
    )


def cnn_1d() -> nn.Module:
    """The convolutional network of MNIST-1D (Greydanus & Kobak 2024)."""
    return nn.Sequential(
        *(nn.Conv1d(1, 25, 5, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv1d(25, 25, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Conv1d(25, 25, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(125, CLASSES)),
    )


def cnn_2d_norm() -> nn.Module:
    """Two convolutions with batch normalization and pooling, for pictures of 28x28."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, CLASSES)),
    )


class Recurrent(nn.Module):
    """An LSTM that reads a sequence and classifies it at the end."""

    def __init__(self, inputs: int = 16, hidden: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        return self.head(outputs[:, -1])


class Transformer(nn.Module):
    """Two encoder layers over embedded tokens, classified by their mean."""

    def __init__(self, tokens: int = 32, length: int = 16, width: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(x) + self.position).mean(1))


MODELS = {
    "MLP": Model(mlp, (64,)),
    "MLP, batch norm, dropout": Model(mlp_norm_dropout, (64,)),
    "1-d CNN": Model(cnn_1d, (1, 40)),
    "2-d CNN, batch norm": Model(cnn_2d_norm, (1, 28, 28)),
    "LSTM": Model(Recurrent, (20, 16)),
    "transformer": Model(Transformer, (16,), tokens=32),
}
