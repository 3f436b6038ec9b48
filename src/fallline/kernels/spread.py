"""Tensors spread over processes (`DTensor`), as one of the processes sees them: its part, and others spread alike.

A plain tensor is all of itself, one shard.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor


def is_spread(tensor: Any) -> bool:
    """Whether it is a `DTensor`."""
    return hasattr(tensor, "device_mesh")


def cuts(tensor: Any) -> list[int]:
    """The dimensions of its mesh along which it is cut into shards; along the others are replicas."""
    return [k for k, placed in enumerate(getattr(tensor, "placements", ())) if not placed.is_replicate()]


def shards(tensor: Any) -> int:
    """Into how many shards it is cut."""
    return math.prod(tensor.device_mesh.size(k) for k in cuts(tensor))


def shard(tensor: Any) -> int:
    """Which of its shards this process has, counted from 0; a shard's replicas have the same number."""
    number = 0
    for k in cuts(tensor):
        number = number * tensor.device_mesh.size(k) + tensor.device_mesh.get_local_rank(k)
    return number


def part(tensor: Any) -> Tensor:
    """This process's part, which shares its memory."""
    if not is_spread(tensor):
        plain: Tensor = tensor
        return plain
    mine = tensor.detach().to_local()
    ready: Tensor = mine.wait() if hasattr(mine, "wait") else mine
    return ready


def of_parts(mine: Tensor, like: Any) -> Tensor:
    """The tensor of which every process has a part, in the shape of `like` and spread as that is."""
    if not is_spread(like):
        return mine
    from torch.distributed.tensor import DTensor

    mesh, placed, shape, stride = like.device_mesh, like.placements, like.shape, like.stride()
    return DTensor.from_local(mine, mesh, placed, run_check=False, shape=shape, stride=stride)


def whole(tensor: Any) -> Tensor:
    """All of it, gathered in every process."""
    gathered: Tensor = tensor.detach().full_tensor() if is_spread(tensor) else tensor
    return gathered


def spread_as(tensor: Any, like: Any) -> Tensor:
    """A tensor spread as `like` is; a plain one is whole in every process."""
    if not is_spread(like):
        return whole(tensor)
    if getattr(tensor, "placements", None) == like.placements:
        same: Tensor = tensor
        return same
    if is_spread(tensor):
        moved: Tensor = tensor.redistribute(like.device_mesh, like.placements)
        return moved
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
