"""Parameters that other processes step: sums over all parameters are taken over these too.

`ZeroRedundancyOptimizer` gives each process's optimizer a part of the parameters, a pipeline gives it those of a stage.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..rules.trace import Walk

_ZERO = "torch.distributed.optim.zero_redundancy_optimizer"


def group_of_maker() -> Any:
    """The process group of the `ZeroRedundancyOptimizer` that is making an optimizer, or None.

    It makes its optimizers like anyone and tells them nothing of the others, so it is looked for among the callers.
    """
    frame = sys._getframe() if _ZERO in sys.modules else None
    while frame is not None and frame.f_globals.get("__name__") != _ZERO:
        frame = frame.f_back
    return frame and getattr(frame.f_locals.get("self"), "process_group", None)


def over_processes(walk: Walk, group: Any, device: torch.device) -> Walk:
    """A process's step, its sums those of all processes of a group, on whose `device` they meet.

    How often a process has something to sum may differ, down to not at all: those that are done add nothing.
    """
    parts: tuple[Any, ...] = ()
    sums: tuple[Any, ...] | None = None
    made, done = None, False
    while True:
        if not done:
            try:
                parts = walk.send(sums)
            except StopIteration as end:
                made, done, parts = end.value, True, ()
        count = int(reduced([len(parts)], dist.ReduceOp.MAX, group, device)[0])
        if count == 0:
            return made
        mine = [float(part) for part in parts] + [0.0] * (count - len(parts))
        whole = reduced(mine, dist.ReduceOp.SUM, group, device)
        sums = tuple(_like(part, value) for part, value in zip(parts, whole, strict=False))
        if not done:
            sums = yield sums


def _like(part: Any, value: Tensor) -> Any:
    return value.to(part.device, part.dtype) if isinstance(part, Tensor) else float(value)


def reduced(values: list[Any], op: Any, group: Any, device: torch.device) -> Tensor:
    """Numbers taken together with those of a group's other processes."""
    whole = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(whole, op, group)
    return whole
