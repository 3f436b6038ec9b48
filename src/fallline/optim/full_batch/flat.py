"""Parameters as one flat vector: a complex number counts as two entries, a missing gradient as zeros."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def size(params: Sequence[Tensor]) -> int:
    """The number of entries of the flat vector."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in params)


def gradient(params: Sequence[Tensor]) -> Tensor:
    """The gradients in one new vector, sparse ones made dense."""
    return torch.cat([_real(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in params])


def _real(gradient: Tensor) -> Tensor:
    dense = gradient.to_dense() if gradient.is_sparse else gradient
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense


def copy(params: Sequence[Tensor]) -> list[Tensor]:
    """The values of the parameters, to `restore` them."""
    return [p.detach().clone() for p in params]


def restore(params: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give the parameters values back."""
    for p, value in zip(params, values, strict=True):
        p.copy_(value)


def move(params: Sequence[Tensor], direction: Tensor, step: float) -> None:
    """Add `step * direction` to the parameters, in place."""
    parts = torch.split(direction, [size([p]) for p in params])
    for p, part in zip(params, parts, strict=True):
        move = torch.complex(*part.view(*p.shape, 2).unbind(-1)) if p.is_complex() else part.view_as(p)
        p.add_(move, alpha=step)


def largest(vector: Tensor) -> float:
    """The largest absolute entry; 0 where there is none."""
    if not vector.numel():
        return 0.0
    low, high = map(float, vector.aminmax())  # ten times as fast as the largest of a copy
    return high if math.isnan(high) else max(-low, high)


def finite(vector: Tensor) -> bool:
    """Whether all entries are."""
    # a finite sum has no other terms, and takes no memory
    return math.isfinite(vector.sum()) or bool(vector.isfinite().all())
