"""What processes have in common that train one model together, each on batches of its own: parameters, and means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import InputError
from .partition import reduced


def everyone() -> Any:
    """The group of all processes; None where there is one alone."""
    several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return dist.group.WORLD if several else None


def used_by_any(params: Sequence[Tensor], used: Sequence[bool], group: Any) -> list[bool]:
    """Of each parameter, whether any process of the group has used it.

    Raises `InputError`, in all of them, where they do not hold the same parameters.
    """
    if group is None:
        return list(used)
    count, device = len(params), params[0].device
    most, fewest = reduced([count, -count], dist.ReduceOp.MAX, group, device).tolist()
    found: list[float] = []
    if most == -fewest:
        sizes = _sizes(params, device)
        facts = [*sizes, *(-size for size in sizes), *map(float, used)]
        found = reduced(facts, dist.ReduceOp.MAX, group, device).tolist()
    largest, least = found[:count], [-value for value in found[count : 2 * count]]
    if not found or largest != least:
        raise InputError(
            "the processes hold different parameters, so they cannot share an estimate: say which of them train one "
            "model with average_over(group), or average_over(None) where each trains its own."
        )
    return [value > 0 for value in found[2 * count :]]


def mean(value: Tensor, group: Any) -> Tensor:
    """The mean over the group's processes, which all must take it; `value` is used up."""
    if group is None:
        return value
    whole = value.contiguous()
    dist.all_reduce(whole, group=group)
    return whole / dist.get_world_size(group)


def _sizes(params: Sequence[Tensor], device: torch.device) -> list[float]:
    """The largest absolute value of each parameter: the same bits in all replicas, whatever order sums have there."""
    largest = [p.detach().abs().max() if p.numel() else torch.zeros(()) for p in params]
    found: list[float] = torch.stack([one.to(device, torch.float64) for one in largest]).nan_to_num().tolist()
    return found
