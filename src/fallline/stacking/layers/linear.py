"""Linear layers: all trials in one batched product, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ..form import Stack, form


@form(F.linear)
def linear(stack: Stack, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """x (T, *, inputs), weight (T, outputs, inputs), bias (T, outputs)."""
    if weight.dim() != 3:
        return NotImplemented
    if weight.size(0) == 1 != stack.size:
        y = F.linear(x, weight[0])
        return y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 2), bias.size(-1))
    size, outputs, inputs = weight.shape
    flat = x.reshape(x.size(0), -1, inputs).expand(size, -1, -1)
    y = Product.apply(flat, weight, bias if bias is None else bias.expand(size, -1))  # type: ignore[no-untyped-call]
    return y if x.dim() == 3 else y.view(size, *x.shape[1:-1], outputs)


@form(F.bilinear)
def bilinear(stack: Stack, input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """input1 (T, *, I), input2 (T, *, J), weight (T, O, I, J), bias (T, O)."""
    if input1.dim() < 2 or input2.dim() < 2:
        return NotImplemented
    first, second = input1.flatten(1, -2), input2.flatten(1, -2)
    y = torch.einsum("tni,toij,tnj->tno", *_alike(first, weight, second))
    y = y if bias is None else y + bias.unsqueeze(1)
    return y.view(y.size(0), *input1.shape[1:-1], y.size(-1))


def _alike(*tensors: Tensor) -> list[Tensor]:
    """Each with a row for every trial that any has."""
    size = max(tensor.size(0) for tensor in tensors)
    return [tensor.expand(size, *tensor.shape[1:]) for tensor in tensors]


class Product(Function):
    """x W^T + b for each trial; the weights' gradients come out in the weights' own layout."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        if bias is None:
            return torch.bmm(x, weight.mT)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (g,) = grads
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        return (
            torch.bmm(g, weight) if by_x else None,
            torch.bmm(g.mT, x) if by_weight else None,
            g.sum(1) if by_bias else None,
        )
