"""How the arrays of an optimizer's state stand in memory that take fewer bits than a step computes with.

`Rule.storage` says which they are. A state in eight bits is two tensors: under its own key codes in the parameter's
shape, and under that key with `_scale` a byte for each 256 of them, as they lie in memory (`formats.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..rules.rule import Rule
from ..rules.storage import Storage, codes
from .dither import BLOCK, nearest
from .formats import Numbers, decoded, encoded, rounded

SMALLEST = 4096
"""Elements below which a tensor's states are kept whole, as in bitsandbytes: they are few, and biases among them."""

_CODED = (torch.float32, torch.bfloat16, torch.float16)
"""Types of parameters whose states may take eight bits."""

SCALE = "_scale"
"""What the name of a state in eight bits has behind it in an optimizer's state, for its scales."""


class Coded(NamedTuple):
    """An array in eight bits: its codes in the parameter's shape, and its blocks' scales, both uint8."""

    codes: Tensor
    scale: Tensor
    signed: bool


Held = Tensor | Coded
"""An array as it stands in memory."""


def held(rule: Rule, name: str, key: str, state: Mapping[str, Tensor]) -> Held:
    """A state that an optimizer keeps under a key."""
    scale = state.get(key + SCALE)
    return state[key] if scale is None else Coded(state[key], scale, _signed(rule, name))


def keep(rule: Rule, name: str, key: str, state: dict[str, Any], p: Tensor) -> None:
    """Have a state that is there stand as the rule keeps it: it may come from a checkpoint of another storage.

    Tensors with fewer than 4096 elements, sparse gradients, complex numbers or float64, and those that are spread over
    processes, are not kept in eight bits; of the last a warning tells, once.
    """
    wanted = _wanted(rule, name, p)
    narrower = state[key].itemsize < p.itemsize
    if state[key].dtype is not wanted and (wanted is not p.dtype or narrower):
        values = read(held(rule, name, key, state)).to(p.dtype)
        state.pop(key + SCALE, None)
        if wanted is torch.uint8:
            state[key] = torch.empty_like(values, dtype=wanted)
            state[key + SCALE] = state[key].new_empty(blocks(p))
            write(held(rule, name, key, state), values)
        else:
            state[key] = values.to(wanted)


def _wanted(rule: Rule, name: str, p: Tensor) -> torch.dtype:
    storage = rule.storage.get(name)
    if storage is Storage.BFLOAT16 and p.dtype is torch.float32:
        return torch.bfloat16
    sparse = p.grad is not None and p.grad.layout is not torch.strided
    if storage is None or not storage.coded or p.numel() < SMALLEST or sparse or p.dtype not in _CODED:
        return p.dtype
    if hasattr(p, "device_mesh"):
        _warn_of_shards()
        return p.dtype
    return torch.uint8


@cache
def _warn_of_shards() -> None:
    """Say once that a state is four times as large as it was asked to be."""
    warnings.warn(
        "state_8bit keeps the states of parameters that are spread over processes (DTensor: FSDP2, tensor parallelism) "
        "whole: in eight bits they could not be loaded into other shards. state_bfloat16=True halves them.",
        stacklevel=2,
    )


def width_of(storage: Storage | None) -> float:
    """Bytes that an element takes in the state of a large float32 parameter."""
    if storage is None or storage is Storage.STOCHASTIC:
        return 4
    return 1 + 1 / BLOCK if storage.coded else 2


def bytes_of(storage: Storage | None, count: int, itemsize: int = 4) -> int:
    """Bytes of a state with so many elements, for a parameter whose elements take `itemsize`."""
    if storage is Storage.BFLOAT16:
        return count * min(itemsize, 2)
    if storage is None or not storage.coded or count < SMALLEST or itemsize > 4:
        return count * itemsize
    return count - (-count // BLOCK)


def _signed(rule: Rule, name: str) -> bool:
    return codes(rule, name) is Storage.CODES


def blocks(p: Tensor) -> int:
    """How many scales an array has in eight bits."""
    return -(-p.numel() // BLOCK)


def read(held: Held) -> Tensor:
    """The values of an array; those of codes are float32."""
    if not isinstance(held, Coded):
        return held
    values = torch.empty_like(held.codes, dtype=torch.float32)
    in_memory(values).copy_(decoded(in_memory(held.codes), held.scale, held.signed))
    return values


def write(held: Held, values: Tensor, numbers: Numbers = nearest) -> None:
    """Give an array new values, as many in any shape; where it has fewer bits, `numbers` say how they are rounded."""
    if isinstance(held, Coded):
        ordered = torch.empty_like(held.codes, dtype=torch.float32).copy_(values.reshape(held.codes.shape))
        codes, scale = encoded(in_memory(ordered), held.signed, numbers)
        in_memory(held.codes).copy_(codes)
        held.scale.copy_(scale)
        return
    held = held.detach()
    values = torch.view_as_complex(values) if held.is_complex() else values.reshape(held.shape)
    if numbers is not nearest and held.dtype is torch.bfloat16:
        ordered = torch.empty_like(held, dtype=torch.float32).copy_(values)
        in_memory(ordered).copy_(rounded(in_memory(ordered), numbers))
        values = ordered
    held.copy_(values)


def in_memory(dense: Tensor) -> Tensor:
    """The elements of a tensor without gaps, as they lie in memory: (elements,), a view."""
    return dense.as_strided((dense.numel(),), (1,), dense.storage_offset())
