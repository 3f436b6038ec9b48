"""Pooling by the largest number; all other pooling is well done as it stands."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import compute, fits
from ..form import Stack, form
from .convolution import Sizes, sizes

_LARGEST = 1 << 24


def _max_pool(
    dims: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if ceil_mode or return_indices or not fits(input) or input.dim() != dims + 3:
        return NotImplemented
    pixels = input.shape[3:]
    window = sizes(kernel_size, dims)
    strides = window if stride is None or stride == [] else sizes(stride, dims)
    paddings, dilations = sizes(padding, dims), sizes(dilation, dims)
    out = tuple(
        (s + 2 * p - d * (k - 1) - 1) // t + 1
        for s, p, d, k, t in zip(pixels, paddings, dilations, window, strides, strict=True)
    )
    allowed = all(2 * p <= k for p, k in zip(paddings, window, strict=True))
    if min(out) < 1 or pixels.numel() > _LARGEST or not allowed:
        return NotImplemented
    parts: tuple[tuple[int, ...], ...] = (tuple(pixels), window, out, strides, paddings, dilations)
    if dims == 1:  # one dimension is a picture of one line
        parts = tuple((0 if part is paddings else 1, *part) for part in parts)
    numbers = tuple(number for part in parts for number in part)
    return MaxPool.apply(input, out, numbers)  # type: ignore[no-untyped-call]


@form(F.max_pool1d)
def max_pool1d(stack: Stack, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """input (T, N, C, L)."""
    return _max_pool(1, input, *args, **kwargs)


@form(F.max_pool2d)
def max_pool2d(stack: Stack, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """input (T, N, C, H, W)."""
    return _max_pool(2, input, *args, **kwargs)


class MaxPool(Function):
    """The largest number of each window; a picture's gradient goes to where it stood."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, out: tuple[int, ...], numbers: tuple[int, ...]) -> Tensor:
        x = x.contiguous()
        size, n, channels = x.shape[:3]
        y = x.new_empty((size, n, channels, *out))
        places = torch.empty_like(y)
        ctx.shape, ctx.numbers = x.shape, (n * channels, *numbers)
        compute("pooling.forward", size, x.numel(), 0, ctx.numbers, (x,), (y, places))
        ctx.save_for_backward(places)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        (places,) = ctx.saved_tensors
        gx = g.new_empty(ctx.shape)
        compute("pooling.backward", gx.size(0), gx.numel(), 0, ctx.numbers, (g.contiguous(), places), (gx,))
        return gx, None, None
