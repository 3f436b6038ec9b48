"""Stochastic depth: whole residual branches left out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .check import one_of, share

__all__ = ["StochasticDepth"]


class StochasticDepth(nn.Module):
    """Leaves a residual branch out with probability `rate`: x (n, *) -> 0, or x / (1 - rate).

    `by="batch"` decides once for the batch, as the paper does, `by="example"` for each example. At test time the branch
    is always there, as it is: the scale in training makes this its expectation. (The paper does not scale in training,
    and multiplies by the probability of survival at test time: the same but for a constant factor of the branch.)

    Raises `InputError` for a rate that is not from 0 to below 1, and for another `by`. Source: Huang et al. 2016,
    arXiv:1603.09382, equations 2 and 5.
    """

    def __init__(self, rate: float, by: str = "batch") -> None:
        super().__init__()
        self.rate = share("rate", rate)
        self.by = one_of("by", by, ("batch", "example"))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        decided = (1 if self.by == "batch" else x.shape[0], *[1] * (x.dim() - 1))
        return x * F.dropout(torch.ones(decided, dtype=x.dtype, device=x.device), self.rate)

    def extra_repr(self) -> str:
        return f"{self.rate:g}, by={self.by!r}"
