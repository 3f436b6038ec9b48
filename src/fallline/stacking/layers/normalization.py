"""Batch normalization, each trial over its own examples, with running statistics of its own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import compute, fits
from ..form import Stack, form
from ..refusal import CannotStack


@form(F.batch_norm)
def batch_norm(
    stack: Stack,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """input (T, N, C, *), everything else (T, C)."""
    size = stack.size
    if training and running_mean is not None and running_mean.size(0) != size:
        raise CannotStack(
            "the trials cannot be stacked: batch normalization changes running statistics that all share."
        )
    x = input.expand(size, *input.shape[1:])
    channels = x.size(2)
    if not training:
        assert running_mean is not None
        assert running_var is not None
        scale = (running_var + eps).rsqrt()
        scale = scale if weight is None else scale * weight
        shift = -running_mean * scale if bias is None else torch.addcmul(bias, running_mean, scale, value=-1)
        shape = (-1, 1, channels, *[1] * (x.dim() - 3))
        return torch.addcmul(shift.view(shape), x, scale.view(shape))
    if x.numel() == size * channels:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape[1:]}")
    weight, bias = (p if p is None else p.expand(size, -1) for p in (weight, bias))
    if not fits(x, weight, bias, running_mean):
        return _folded(x, running_mean, running_var, weight, bias, momentum, eps)
    y, mean, var = BatchNorm.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    if running_mean is not None and running_var is not None:
        count = x.numel() // (size * channels)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var.mul_(count / (count - 1)), momentum)
    return y


def _folded(x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, momentum: float, eps: float) -> Tensor:
    """By PyTorch's own function, every trial's channels being channels of one batch."""
    size, n, channels, *rest = x.shape
    flat = [p if p is None else p.reshape(-1) for p in (mean, var, weight, bias)]
    m, v, w, b = flat
    y = F.batch_norm(x.transpose(0, 1).reshape(n, size * channels, *rest), m, v, w, b, True, momentum, eps)
    for given, changed in ((mean, m), (var, v)):
        if given is not None and changed is not None and not given.is_contiguous():
            given.copy_(changed.view_as(given))
    return y.view(n, size, channels, *rest).transpose(0, 1)


class BatchNorm(Function):
    """Normalized input, means and variances (of the population) of each trial and channel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        x = x.contiguous()
        weight, bias = (p if p is None else p.contiguous() for p in (weight, bias))
        size, n, channels = x.shape[:3]
        y = torch.empty_like(x)
        mean, var, small = x.new_empty(size, channels), x.new_empty(size, channels), x.new_tensor([eps])
        sizes = (n, channels, x.numel() // (size * n * channels))
        work, inputs = 4 * x.numel(), (x, weight, bias, small)
        compute("normalization.forward", size, work, 2 * channels, sizes, inputs, (mean, var, y))
        ctx.save_for_backward(x, weight, bias, small, mean.clone(), var.clone())
        ctx.sizes = sizes
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: Any) -> Any:
        x, weight, bias, small, mean, var = ctx.saved_tensors
        size, channels = mean.shape
        g = g.contiguous()
        gx, gw, gb = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
        work, inputs = 4 * x.numel(), (x, weight, bias, small, mean, var, g)
        compute("normalization.backward", size, work, 3 * channels, ctx.sizes, inputs, (gx, gw, gb))
        return gx, None if weight is None else gw, None if bias is None else gb, None


@form(torch._weight_norm)
def weight_norm(stack: Stack, v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """v (T, *), g (T, *) of length 1 but for `dim`, or (T) for one of -1: directions of unit length, times g."""
    kept = dim + 1  # 0 keeps none
    others = [axis for axis in range(1, v.dim()) if axis != kept]
    scale = g.view(-1, *[1] * (v.dim() - 1)) if kept == 0 else g
    y: Tensor = v * (scale / v.norm(2, others, keepdim=True))
    return y
