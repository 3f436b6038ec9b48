"""Fractional max pooling: every example of every trial by itself, in the regions that its trial draws."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..form import Stack, form


@form(F.fractional_max_pool2d, shared=True)
def fractional_max_pool2d(
    stack: Stack,
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """input (T, N, C, H, W), offsets of regions (T, N, C, 2)."""
    if return_indices or input.dim() != 5:
        return NotImplemented
    offsets = _random_samples
    if offsets is None:
        draw = partial(torch.rand, *input.shape[1:3], 2, dtype=input.dtype, device=input.device)
        offsets = stack.draws.drawn(lambda draws: draws.draw(draw, input.device))
    size = max(input.size(0), offsets.size(0))
    x, at = (tensor.expand(size, *tensor.shape[1:]).flatten(0, 1) for tensor in (input, offsets))
    y: Tensor = F.fractional_max_pool2d(x, kernel_size, output_size, output_ratio, _random_samples=at.contiguous())
    return y.view(size, -1, *y.shape[1:])
