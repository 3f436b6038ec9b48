"""How the arrays of an optimizer's state stand in memory that take fewer bits than a step computes with.

`Rule.storage` says which they are. A state in eight bits is two tensors: under its own key codes in the parameter's
shape, and under that key with `_scale` a byte for each 256 of them, as they lie in memory (`formats.py`). Where the
parameter is spread over processes, so are the codes, and a process has the scales of its own part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..rules.rule import Rule
from ..rules.storage import Storage, codes
from . import spread
from .dither import BLOCK, nearest
from .formats import Numbers, decoded, encoded, encoded_again, rounded

SMALLEST = 4096
"""Elements below which a tensor's states are kept whole, as in bitsandbytes: they are few, and biases among them.

Of a tensor that is spread over processes, those that a process has in the mean: all have to decide alike.
"""

_CODED = (torch.float32, torch.bfloat16, torch.float16)
"""Types of parameters whose states may take eight bits."""

SCALE = "_scale"
"""What the name of a state in eight bits has behind it in an optimizer's state, for its scales."""

_PIECE = 1 << 18
"""Elements that are coded or read at a time, each by way of some fifty bytes; whole blocks."""


class Coded(NamedTuple):
    """An array in eight bits: its codes in the parameter's shape, and its blocks' scales, both uint8."""

    codes: Tensor
    scale: Tensor
    signed: bool


Held = Tensor | Coded
"""An array as it stands in memory."""


def held(rule: Rule, name: str, key: str, state: Mapping[str, Tensor]) -> Held:
    """A state that an optimizer keeps under a key; of one that is spread over processes, this process's part."""
    mine, scale = spread.part(state[key]), state.get(key + SCALE)
    return mine if scale is None else Coded(mine, scale, _signed(rule, name))


def entries(key: str, held: Held) -> dict[str, Tensor]:
    """What an optimizer's state has of an array that it keeps under a key."""
    return {key: held.codes, key + SCALE: held.scale} if isinstance(held, Coded) else {key: held}


def uncoded(rule: Rule, name: str, key: str, state: Mapping[str, Tensor], p: Tensor) -> Tensor:
    """A state as a tensor of numbers: of codes, the bfloat16 that they stand for, spread as the parameter is."""
    mine = held(rule, name, key, state)
    return spread.of_parts(read(mine, torch.bfloat16), p) if isinstance(mine, Coded) else state[key]


def keep(rule: Rule, name: str, key: str, state: dict[str, Any], p: Tensor) -> None:
    """Have a state that is there stand as the rule keeps it: it may come from a checkpoint, or of another storage.

    Tensors with fewer than 4096 elements in a process, sparse gradients, complex numbers and float64 are not kept in
    eight bits.
    """
    wanted = kept_in(rule, name, p)
    if state[key].dtype is wanted or (wanted is p.dtype and state[key].itemsize >= p.itemsize):
        return
    values = uncoded(rule, name, key, state, p)
    state.pop(key + SCALE, None)
    if wanted is not torch.uint8:
        state[key] = values.to(wanted)
        return
    ordered = torch.empty_like(spread.part(p), dtype=values.dtype).copy_(spread.part(values))
    codes = torch.empty_like(ordered, dtype=torch.uint8)
    state[key + SCALE] = codes.new_empty(blocks(codes.numel()))
    for elements, scales in _pieces(codes.numel()):
        made = encoded_again(in_memory(ordered)[elements].float(), _signed(rule, name))
        in_memory(codes)[elements], state[key + SCALE][scales] = made
    state[key] = spread.of_parts(codes, p)


def kept_in(rule: Rule, name: str, p: Tensor) -> torch.dtype:
    """The type in which a state of a parameter is kept; uint8 are codes."""
    storage = rule.storage.get(name)
    if storage is Storage.BFLOAT16 and p.dtype is torch.float32:
        return torch.bfloat16
    sparse = p.grad is not None and p.grad.layout is not torch.strided
    if storage is None or not storage.coded or sparse or p.dtype not in _CODED:
        return p.dtype
    return torch.uint8 if p.numel() >= SMALLEST * spread.shards(p) else p.dtype


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


def blocks(count: int) -> int:
    """How many scales so many elements have in eight bits."""
    return -(-count // BLOCK)


def _pieces(count: int) -> Iterator[tuple[slice, slice]]:
    """So many elements in pieces, with the blocks of each."""
    for start in range(0, count, _PIECE):
        yield slice(start, start + _PIECE), slice(start // BLOCK, (start + _PIECE) // BLOCK)


def read(held: Held, dtype: torch.dtype = torch.float32) -> Tensor:
    """The values of an array; those of codes are of the type given, float32 or bfloat16."""
    if not isinstance(held, Coded):
        return held
    values = torch.empty_like(held.codes, dtype=dtype)
    for elements, scales in _pieces(values.numel()):
        codes, scale = in_memory(held.codes)[elements], held.scale[scales]
        in_memory(values)[elements] = decoded(codes, scale, held.signed)
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
