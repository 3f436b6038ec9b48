"""Embeddings: one table of all trials' rows, in which each trial looks at its own part."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ..form import Stack, form
from ..refusal import CannotStack


@form(F.embedding)
def embedding(
    stack: Stack,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """input (T or 1, *), weight (T, rows, numbers)."""
    if max_norm is not None or sparse:
        what = "max_norm" if max_norm is not None else "sparse gradients"
        raise CannotStack(f"the trials cannot be stacked: an embedding with {what} is not done for many at once.")
    if weight.size(0) == 1:
        return F.embedding(input, weight[0], padding_idx, scale_grad_by_freq=scale_grad_by_freq)
    size, rows, _ = weight.shape
    if padding_idx is not None:
        padding_idx %= rows
    starts = torch.arange(0, size * rows, rows, device=input.device).view(-1, *[1] * (input.dim() - 1))
    return Lookup.apply(input + starts, weight, padding_idx, scale_grad_by_freq)  # type: ignore[no-untyped-call]


class Lookup(Function):
    """Rows of a table of tables."""

    @staticmethod
    def forward(ctx: Any, index: Tensor, weight: Tensor, padding: int | None, scale: bool) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape, ctx.padding, ctx.scale = weight.shape, padding, scale
        return F.embedding(index, weight.flatten(0, 1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (index,) = ctx.saved_tensors
        size, rows, _ = ctx.shape
        found = torch.ops.aten.embedding_dense_backward(grads[0], index, size * rows, -1, ctx.scale).view(ctx.shape)
        if ctx.padding is not None:
            found[:, ctx.padding] = 0
        return None, found, None, None
