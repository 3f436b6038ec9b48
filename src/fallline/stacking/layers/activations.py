"""Activations in machine code where PyTorch's own loops are slow; all others are left to `vmap`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import compute, fits
from ..form import Stack, form


@form(torch.tanh, Tensor.tanh)
def tanh(stack: Stack, x: Tensor) -> Tensor:
    """x (T, *)."""
    y: Tensor = Tanh.apply(x) if fits(x) and x.is_contiguous() else x.tanh()  # type: ignore[no-untyped-call]
    return y


class Tanh(Function):
    """The hyperbolic tangent of (T, *)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        compute("pointwise.tanh_forward", len(x), x.numel(), 0, (x.numel() // len(x),), (x,), (y,))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (y,), g = ctx.saved_tensors, grads[0].contiguous()
        d = torch.empty_like(y)
        compute("pointwise.tanh_backward", len(y), y.numel(), 0, (y.numel() // len(y),), (y, g), (d,))
        return d
