"""`over_trials`: a function of one trial done for all trials of a stack."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from ..errors import InputError
from . import layers, level, memory
from .draws import Draws
from .form import Stack
from .refusal import refusals


def over_trials(function: Callable[..., Any], in_dims: Any = 0, draws: Draws | None = None) -> Callable[..., Any]:
    """The function over a leading trial axis, like `torch.func.vmap(function, in_dims)`, with layers in fast forms.

    `in_dims` is as for `vmap`: the trial axis of every argument, None for one that all trials share, or a structure
    like the argument's. Results have the trial axis first. Gradients are those of one plain backward pass: since trials
    do not meet, the gradient of the summed losses by a stacked parameter holds each trial's own.

    Random functions draw from `draws`, which needs a row for each trial. Raises `CannotStack` for what cannot be done
    for all trials at once.
    """
    _load_forms()

    def stacked(*args: Any) -> Any:
        flat, axes, structure = _flattened(args, in_dims)
        sizes = {value.size(axis) for value, axis in zip(flat, axes, strict=True) if axis is not None}
        if len(sizes) != 1:
            raise InputError(f"the trial axis must be of one length in all arguments; found lengths {sorted(sizes)}.")
        (size,) = sizes
        if draws is not None and len(draws) != size:
            raise InputError(f"draws are for {len(draws)} trials; the arguments hold {size}.")
        with level.entered(size) as at:
            inputs = [
                value if axis is None else level.wrap(value, axis, at) for value, axis in zip(flat, axes, strict=True)
            ]
            stack = Stack(size, at, draws, tuple(flat))
            with refusals(stack.doing), stack:
                result = function(*(inputs if structure is None else tree_unflatten(inputs, structure)))
            if isinstance(result, Tensor):
                return level.leave(result, at, size)
            return tree_map(lambda value: level.leave(value, at, size) if isinstance(value, Tensor) else value, result)

    return stacked


def _flattened(args: tuple[Any, ...], in_dims: Any) -> tuple[Sequence[Any], Sequence[Any], Any]:
    """The arguments' tensors, their trial axes, and the arguments' structure (None where they are tensors)."""
    plain = type(in_dims) is tuple and len(in_dims) == len(args) and all(isinstance(value, Tensor) for value in args)
    if plain and all(axis is None or type(axis) is int for axis in in_dims):
        return args, in_dims, None  # taking structures apart takes longer than a small model
    flat, structure = tree_flatten(args)
    axes = level.flattened_axes(in_dims, structure)
    if axes is None:
        raise InputError(f"in_dims {in_dims!r} does not have the structure of the arguments.")
    return flat, axes, structure


@lru_cache(maxsize=None)
def _load_forms() -> None:
    """Every file of `layers` adds its forms as it is imported."""
    memory.keep()
    for module in pkgutil.iter_modules(layers.__path__):
        importlib.import_module(f"{layers.__name__}.{module.name}")
