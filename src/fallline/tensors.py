"""The tensors of a model by name, a model that is given them again, and parts of what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """What a model's `state_dict` holds; a tensor with several names stands under the first."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor) and id(value) not in seen:
            seen.add(id(value))
            found[name] = value.detach()
    return found


def parameters_and_buffers(model: nn.Module) -> dict[str, Tensor]:
    """All that a model computes with, also what its `state_dict` leaves out; one that is used twice once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def put(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the tensors that `tensors_of` found."""
    for name, value in tensors_of(model).items():
        value.copy_(tensors[name])
