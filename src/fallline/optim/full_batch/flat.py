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


def copy(params: Sequence[Tensor], memory: list[Tensor] | None = None) -> list[Tensor]:
    """The values of the parameters, to `restore` them; in the memory of an earlier copy, where one is given."""
    if not memory:
        return [p.detach().clone() for p in params]
    torch._foreach_copy_(memory, list(params))
    return memory


def restore(params: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give the parameters values back."""
    torch._foreach_copy_(list(params), list(values))


def move(params: Sequence[Tensor], direction: Tensor, step: float) -> None:
    """Add `step * direction` to the parameters, in place."""
    values = [torch.view_as_real(p) if p.is_complex() else p for p in params]
    parts = direction.split_with_sizes([value.numel() for value in values])
    torch._foreach_add_(values, [part.view_as(value) for part, value in zip(parts, values, strict=True)], alpha=step)


def largest(vector: Tensor) -> float:
    """The largest absolute entry, which is finite where all entries are; 0 where there is none."""
    if not vector.numel():
        return 0.0
    low, high = map(float, vector.aminmax())  # ten times as fast as the largest of a copy
    return high if math.isnan(high) else max(-low, high)
