"""The convolutional network of MNIST-1D."""

from __future__ import annotations

from torch import nn

from ..errors import InputError
from ..layers.check import whole

__all__ = ["mnist1d_cnn"]

_KERNELS = (5, 3, 3)


def mnist1d_cnn(channels: int = 25, classes: int = 10, length: int = 40) -> nn.Sequential:
    """Three convolutions of stride 2 and a linear layer, over signals: (n, length) -> (n, classes).

    With the defaults 5,210 parameters. Source: Greydanus & Kobak 2024 (Greydanus 2020), arXiv:2011.14439: the CNN
    of the paper's published code. Raises `InputError` for counts below 1, and for signals that are too short.
    """
    channels, classes, left = whole("channels", channels), whole("classes", classes), whole("length", length)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, left))]
    inputs = 1
    for kernel in _KERNELS:
        layers += [nn.Conv1d(inputs, channels, kernel, stride=2, padding=1), nn.ReLU()]
        inputs, left = channels, (left + 2 - kernel) // 2 + 1
    if left < 1:
        raise InputError(f"length={length} is too short for three convolutions of stride 2; at least 3 is needed.")
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(left * channels, classes))
