"""The trial axis below `vmap`: which tensors carry it, and how to step below it and back.

Under `torch.func.vmap` a tensor that differs among trials is a wrapper around the stacked tensor. A form works on the
stacked tensors themselves, with `vmap` out of the way, so that autograd records its few large operations and nothing
else. The names that this takes are PyTorch's own, not public ones; all of them are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch._C import _functorch
from torch._functorch import vmap

functorch: Any = _functorch  # PyTorch's own types leave out some of its names
_load: Any = vars(vmap)["lazy_load_decompositions"]
flattened_axes: Any = vars(vmap)["_broadcast_to_and_flatten"]
"""`flattened_axes(in_dims, structure)`: an axis for every argument; None where the structures differ."""

unwrap = functorch._unwrap_batched
"""`unwrap(tensor, level)`: the stacked tensor and its trial axis; the tensor itself and None where it has none."""

wrap = functorch._add_batch_dim
"""`wrap(tensor, axis, level)`: the tensor of one trial that stands for the stacked one."""

pop, push = functorch.pop_dynamic_layer_stack, functorch.push_dynamic_layer_stack
"""Leave the innermost level, below which operations see stacked tensors as what they are, and enter it again."""

current = functorch.current_level
"""The innermost level; another than a stack's own means that the model uses `torch.func` itself."""


@contextmanager
def entered(size: int) -> Iterator[int]:
    """A new trial axis of `size` trials; gives its level. Nothing inside may be random or done trial by trial."""
    _load()
    slow = functorch._is_vmap_fallback_enabled()
    functorch._set_vmap_fallback_enabled(False)
    level: int = functorch._vmap_increment_nesting(size, "error")
    try:
        yield level
    finally:
        functorch._vmap_decrement_nesting()
        functorch._set_vmap_fallback_enabled(slow)


@contextmanager
def below() -> Iterator[None]:
    """Inside, operations see stacked tensors as what they are."""
    layer = pop()
    try:
        yield
    finally:
        push(layer)


def leave(value: Tensor, level: int, size: int) -> Tensor:
    """The stacked tensor, trial axis first, behind the tensor of one trial; the same for all is expanded."""
    tensor, axis = unwrap(value, level)
    if axis is None:
        tensor, axis = tensor.expand(size, *tensor.shape), 0
    first: Tensor = tensor if axis == 0 else tensor.movedim(axis, 0)
    return first
