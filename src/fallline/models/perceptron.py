"""Fully connected networks."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ..errors import InputError
from ..layers.check import share, whole

__all__ = ["mlp"]


def mlp(
    *widths: int, activation: type[nn.Module] = nn.ReLU, dropout: float = 0.0, batch_norm: bool = False
) -> nn.Sequential:
    """Fully connected layers of these widths, inputs first, with the activation between them: (n, in) -> (n, out).

    `batch_norm` normalizes before every activation (Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.2), `dropout` is
    the share of hidden units dropped after it (Srivastava et al. 2014, Journal of Machine Learning Research 15, section
    4). Raises `InputError` for fewer than two widths, for widths below 1, and for a share that is not below 1.
    """
    if len(widths) < 2:
        raise InputError(f"mlp needs the widths of inputs and outputs at least; it was given {widths!r}.")
    *hidden, last = pairwise([whole("every width of mlp", width) for width in widths])
    dropped = share("dropout", dropout)
    layers: list[nn.Module] = []
    for inputs, outputs in hidden:
        layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if batch_norm else []), activation()]
        if dropped:
            layers.append(nn.Dropout(dropped))
    return nn.Sequential(*layers, nn.Linear(*last))
