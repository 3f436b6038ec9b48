"""Convolutions: small ones compiled, all trials' pictures through the cache; large ones trial by trial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import compute, fits
from ..form import Stack, form

Sizes = int | tuple[int, ...] | list[int]
Shape = tuple[int, ...]
Setting = tuple[Shape, Shape, Shape, int]
"""Stride, padding, dilation, groups."""

_COLUMNS = 256
"""Columns of a product that keep the core busy; smaller pictures are unfolded together."""
_LARGE = 1 << 24
"""Multiplications of one trial from which PyTorch's own convolution, trial by trial, is as fast."""
_CHANNELS, _USED = 4, 0.7
"""From so many channels on, and where so much of the padded picture is output, shifting beats unfolding."""


def sizes(value: Sizes, dims: int) -> tuple[int, ...]:
    """One number for each dimension."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dims if len(values) == 1 else values


def _convolution(
    dims: int,
    stack: Stack,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """input (T, N, C, *), weight (T, O, C / groups, *), bias (T, O)."""
    if weight.size(0) != stack.size or not fits(input, weight, bias) or input.dim() != dims + 3:
        return NotImplemented
    strides, dilations = sizes(stride, dims), sizes(dilation, dims)
    if isinstance(padding, str):
        around = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, weight.shape[3:], strict=True)]
        if any(total % 2 for total in around):
            return NotImplemented
        paddings = tuple(total // 2 for total in around)
    else:
        paddings = sizes(padding, dims)
    setting = strides, paddings, dilations, groups
    plan = _plan(tuple(input.shape), tuple(weight.shape), setting)
    if plan.multiplications <= _LARGE:
        return Convolution.apply(input, weight, bias, setting)  # type: ignore[no-untyped-call]
    run = F.conv1d if dims == 1 else F.conv2d
    parts = [part.expand(stack.size, *part.shape[1:]).unbind(0) for part in (input, weight)]
    biases = [None] * stack.size if bias is None else bias.expand(stack.size, -1).unbind(0)
    return torch.stack([run(x, w, b, *setting) for x, w, b in zip(*parts, biases, strict=True)])


form(F.conv1d)(partial(_convolution, 1))
form(F.conv2d)(partial(_convolution, 2))


class Convolution(Function):
    """Convolution in one or two dimensions; x (T or 1, N, C, *), weight (T, O, C / groups, *)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, setting: Setting) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        bias = bias if bias is None else bias.expand(weight.size(0), -1).contiguous()
        plan = _plan(tuple(x.shape), tuple(weight.shape), setting)
        y = x.new_empty((weight.size(0), x.size(1), weight.size(1), *plan.out))
        work, room, numbers = plan.job
        compute(f"{plan.file}.forward", weight.size(0), work, room, numbers, (x, weight, bias), (y,))
        ctx.save_for_backward(x, weight)
        ctx.plan = plan
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        plan, size, g = ctx.plan, weight.size(0), g.contiguous()
        gx = x.new_empty((size, *x.shape[1:])) if ctx.needs_input_grad[0] else None
        gw = torch.empty_like(weight)
        gb = weight.new_empty((size, weight.size(1)))
        work, room, numbers = plan.job
        compute(f"{plan.file}.backward", size, work, room, numbers, (x, weight, g), (gx, gw, gb))
        if gx is not None and x.size(0) == 1 != size:
            gx = gx.sum(0, keepdim=True)
        return gx, gw, gb if ctx.needs_input_grad[2] else None, None


@dataclass(frozen=True)
class _Plan:
    """How a convolution of given sizes is done, and the job that says so."""

    file: str
    out: tuple[int, ...]
    multiplications: int
    """In the forward pass of one trial."""
    job: tuple[int, int, tuple[int, ...]]
    """Work, room and numbers."""


@lru_cache(maxsize=256)
def _plan(x: Shape, weight: Shape, setting: Setting) -> _Plan:
    stride, padding, dilation, groups = setting
    size, n, channels, *pixels = x
    _, outputs, inner, *places = weight
    out = tuple(
        (s + 2 * p - d * (k - 1) - 1) // t + 1
        for s, p, d, k, t in zip(pixels, padding, dilation, places, stride, strict=True)
    )
    if min(out) < 1:
        raise RuntimeError(f"the kernel {tuple(places)} does not fit the input {tuple(pixels)}")
    flat = len(out) == 1  # one dimension is a picture of one line
    (h, w), (kh, kw), (oh, ow) = ((1, *v) if flat else v for v in (pixels, places, out))
    lead_one, lead_zero = ((1,), (0,)) if flat else ((), ())
    each, length = outputs // groups, oh * ow
    high, wide = h + (0 if flat else 2 * padding[0]), w + 2 * padding[-1]
    together = max(1, min(_COLUMNS // length, n))
    shifted = max(stride) == 1 and inner >= _CHANNELS and length >= _USED * high * wide and together == 1
    room = (
        2 * channels * high * wide + 2 * each * high * wide + kh * kw * channels * each
        if shifted
        else (inner * kh * kw + 2 * each) * together * length + inner * kh * kw * each
    )
    numbers = (
        n,
        channels,
        h,
        w,
        outputs,
        kh,
        kw,
        oh,
        ow,
        *lead_one,
        *stride,
        *lead_zero,
        *padding,
        *lead_one,
        *dilation,
    )
    step = 0 if size == 1 else n * channels * h * w
    work = weight[0] * n * outputs * length
    multiplications = n * prod(weight[1:]) * length
    job = (work, room, (*numbers, groups, step, together))
    return _Plan("shifted" if shifted else "convolution", out, multiplications, job)
