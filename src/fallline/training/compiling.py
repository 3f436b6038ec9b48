"""A stack's gradient step as machine code by PyTorch's compiler, which fuses what lies between the products.

It takes seconds to make; where it pays is measured (`calibrate.py`).
"""

from __future__ import annotations

import shutil
from typing import Any

import torch
from torch import Tensor

from ..stacking import without_machine_code
from .replay import Make, Noted, Stacked, Step, copies

WORTH_COMPILING = 2000
"""Steps that repay the compiler."""
TOLERANCE = 1e-3
"""Share by which a compiled step's numbers may differ."""


def compiled(stack: Stacked, x: Tensor, y: Tensor) -> tuple[Step, list[Make]]:
    """The step as machine code, and how its random numbers are made."""
    from torch.fx.experimental.proxy_tensor import make_fx

    draws, (parameters, fixed) = Noted(stack.draws), copies(stack)
    with without_machine_code():
        stack.pure_step(parameters, fixed, x, y, draws)
        made = draws.made

        def flat(parameters: list[Tensor], fixed: list[Tensor], x: Tensor, y: Tensor, noise: list[Tensor]) -> Any:
            draws.made, draws.given = [], noise
            losses, gradients = stack.pure_step(parameters, fixed, x, y, draws)
            return losses, list(gradients)

        noise = [make(draws) for make in made]
        graph = make_fx(flat)(parameters, fixed, x, y, noise)
    step: Step = torch.compile(graph, dynamic=False)
    return step, made


def has_compiler() -> bool:
    """Whether there is what PyTorch's compiler needs on this machine."""
    return any(shutil.which(name) for name in ("g++", "clang++", "cl"))
