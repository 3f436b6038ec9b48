"""States made without a step, as `torch.distributed.checkpoint` asks for them.

To know which states an optimizer keeps, it gives every parameter a gradient of zeros, sets every rate to zero and calls
`step()`. Weights that shrink whatever the rate, or a rule that wants a closure, must not stand in its way: such a first
step makes the states as they begin (`RuleOptimizer.begin`), and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..kernels.spread import part

if TYPE_CHECKING:
    from .base import RuleOptimizer


def is_asked(optimizer: RuleOptimizer) -> bool:
    """Whether a step of an optimizer without states is a question for them: all rates and gradients are zero."""
    if not all(map(_stands_still, optimizer.param_groups)):
        return False
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return bool(gradients) and all(map(_is_zero, gradients))


def _stands_still(group: Mapping[str, Any]) -> bool:
    rate = group.get("lr")
    # to read a rate on another device is to wait for it; what asks puts its zero on the CPU
    return rate is not None and not (isinstance(rate, Tensor) and rate.device.type != "cpu") and float(rate) == 0


def _is_zero(gradient: Any) -> bool:
    """Whether this process's part of a gradient is nothing but zeros; a sparse one is none of those asked with."""
    local = part(gradient)
    return local.layout is torch.strided and not bool(local.any())
