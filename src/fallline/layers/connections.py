"""DropConnect: a linear layer whose weights are dropped, rather than its inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .check import one_of, share, whole

__all__ = ["DropConnect"]


class DropConnect(nn.Linear):
    """A linear layer with its activation, the weights and biases of which are dropped: (n, *, in) -> (n, *, out).

    In training every weight is 0 with probability `p`, or its value / (1 - p): drawn anew for each example, as in the
    paper (n times the weights in memory), or once a batch (`by="batch"`).

    At test time all weights are there, as they are: the scale in training makes what the activation is given its
    expectation, which is the same as the expectation of the output where there is no `activation`. With `samples` the
    output is the paper's: the mean of the activation over so many draws from the normal distribution with the mean and
    variance that dropping gives (it is random at test time, too).

    `p` is the share dropped, as in `nn.Dropout`; the paper's p is 1 - p. Raises `InputError` for a share that is not
    below 1, for another `by`, and for counts that are none. Source: Wan et al. 2013, "Regularization of Neural Networks
    using DropConnect", section 3 and Algorithms 1 and 2.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        bias: bool = True,
        *,
        by: str = "example",
        activation: Callable[[Tensor], Tensor] | None = None,
        samples: int = 0,
    ) -> None:
        super().__init__(whole("in_features", in_features), whole("out_features", out_features), bias)
        self.p = share("p", p)
        self.by = one_of("by", by, ("example", "batch"))
        self.activation = activation
        self.samples = whole("samples", samples, 0)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.p:
            return self._activated(self._dropped(x))
        if self.samples and self.p:
            mean, variance = self.moments(x)
            noise = torch.randn(self.samples, *mean.shape, dtype=mean.dtype, device=mean.device)
            return self._activated(mean + variance.sqrt() * noise).mean(0)
        return self._activated(F.linear(x, self.weight, self.bias))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of what the activation is given in training, (n, *, out) each."""
        squared = None if self.bias is None else self.bias.square()
        variance = F.linear(x.square(), self.weight.square(), squared) * (self.p / (1 - self.p))
        return F.linear(x, self.weight, self.bias), variance

    def _dropped(self, x: Tensor) -> Tensor:
        if self.by == "batch":
            bias = None if self.bias is None else F.dropout(self.bias, self.p)
            return F.linear(x, F.dropout(self.weight, self.p), bias)
        n = x.shape[0]
        weight = F.dropout(self.weight.expand(n, *self.weight.shape), self.p)
        y = torch.bmm(x.reshape(n, -1, self.in_features), weight.transpose(1, 2))
        if self.bias is not None:
            y = y + F.dropout(self.bias.expand(n, 1, -1), self.p)
        return y.view(*x.shape[:-1], self.out_features)

    def _activated(self, y: Tensor) -> Tensor:
        return y if self.activation is None else self.activation(y)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p={self.p:g}, by={self.by!r}, samples={self.samples}"
