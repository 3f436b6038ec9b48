"""Numbers that a module counts, where it asks for them as Python numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import level
from ..form import FORMS, Stack


def _counted(stack: Stack, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A counter in a buffer is the same for trials that run together, and may be read; other values may differ."""
    tensor, axis = level.unwrap(args[0], stack.level)
    if axis is not None and not tensor.is_floating_point() and any(tensor is given for given in stack.inputs):
        with level.below():
            values = tensor.tolist()
        if all(value == values[0] for value in values):
            return func(torch.tensor(values[0], dtype=tensor.dtype))
    return func(*args, **kwargs)


for _name in ("__float__", "__int__", "__index__", "item"):
    FORMS[getattr(Tensor, _name)] = _counted
