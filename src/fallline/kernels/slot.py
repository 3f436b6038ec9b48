"""What is known of a parameter that kernels step: where it and its states lie, and its entries in a kernel's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..rules.rule import Rule
from . import form as forms
from .form import KERNEL_DTYPES, Form, Kind, form
from .geometry import Entry, geometry
from .lowbits import PLACE, scales
from .plan import sides
from .storage import SCALE

_Laid = tuple[Form | None, Entry, list[tuple[int, Entry]], int, tuple[float, ...]]
"""A form, with the entry of all matrices or of the first, those of further ones, the blocks of all, facts."""


class Slot:
    """A parameter that a kernel can step, as found when its states were last looked at."""

    __slots__ = (
        *("parameter", "states", "address", "length", "dtype", "strides", "contiguous", "kind", "view"),
        *("said", "laid", "form", "entry", "more", "blocks", "facts", "memory", "place"),
    )

    def __init__(
        self,
        p: Tensor,
        states: Mapping[str, Tensor],
        kind: Kind,
        view: tuple[int, ...],
        beside: Mapping[str, Tensor],
        place: int,
    ) -> None:
        """`states` are the rule's, by the keys under which the parameter's state dictionary holds them.

        `beside` are the scales of those in eight bits, and `place` the parameter's, for random draws.
        """
        self.parameter, self.kind, self.view, self.place = p, kind, view, place
        states = {**states, **beside}
        self.states = tuple((key, state, state.data_ptr(), state.numel()) for key, state in states.items())
        self.address, self.length, self.dtype = p.data_ptr(), p.numel(), p.dtype
        self.strides, self.contiguous = p.stride(), p.is_contiguous()
        self.said: Any = ...
        """The choices for which it is laid out."""
        self.laid: dict[Any, _Laid] = {}
        self.form: Form | None = None
        """None where the rule, so chosen, is to be stepped by its text."""
        self.entry: Entry = ()
        """Of all matrices, or of the first."""
        self.more: list[tuple[int, Entry]] = []
        """Of further matrices, with the distance of the gradient's address in bytes."""
        self.blocks = 0
        self.facts: tuple[float, ...] = ()
        self.memory: list[Tensor] = []

    def stands(self, p: Tensor, state: Mapping[str, object], keeps: bool) -> bool:
        """Whether the parameter and, if it `keeps` any, its states still lie where and as they did."""
        if p.data_ptr() != self.address or self.parameter is not p or p.numel() != self.length:
            return False
        for key, tensor, address, length in self.states:
            if state.get(key) is not tensor or tensor.data_ptr() != address or tensor.numel() != length:
                return False
        if keeps and "step" not in state:
            return False
        return p.is_contiguous() if self.contiguous else p.stride() == self.strides

    def fits(self, g: Tensor) -> bool:
        """Whether the gradient lies as the parameter does, and its memory holds its values as they are."""
        if g.dtype is not self.dtype or g.is_neg():
            return False
        return g.is_contiguous() if self.contiguous else g.layout is torch.strided and g.stride() == self.strides

    def lay_out(self, said: Any, rule: Rule) -> None:
        """Have the entries for the rule with its choices made as `said`."""
        if said not in self.laid:
            self.laid[said] = self._lay_out(rule)
        self.said, (self.form, self.entry, self.more, self.blocks, self.facts) = said, self.laid[said]

    def _lay_out(self, rule: Rule) -> _Laid:
        made = form(rule, self.kind)
        if made is None:
            return None, (), [], 0, ()
        cut = geometry(made, self.view)
        addresses = {key: address for key, _, address, _ in self.states}
        own = dict(zip(made.inputs, (self.address, 0, *addresses.values()), strict=False)) | {PLACE: self.place}
        keys = dict(zip(rule.states, addresses, strict=False))
        own |= {scales(name): addresses[keys[name] + SCALE] for name in made.program.layout.coded}
        own |= zip(made.temporaries, self._temporaries(made), strict=False)
        others = [own.get(name, 0) for name in made.others]
        # what calls give need not lie matrix by matrix
        entries = list(cut.entries(others)) if made.program.calls else [cut.entry(others)]
        more = [(k * cut.steps["g"], entry) for k, entry in enumerate(entries) if k]
        return made, entries[0], more, cut.blocks * cut.matrices, cut.facts

    def _temporaries(self, form: Form) -> list[int]:
        """Memory for the vectors that passes hand on; with calls it is made for all tensors of a shape together."""
        if form.program.calls:
            return []
        cut, device = geometry(form, self.view), form.kind.device
        sizes = {name: cut.matrices * cut.sizes[name] for name in form.temporaries}
        made = [torch.empty(size, dtype=form.dtypes[name], device=device) for name, size in sizes.items()]
        self.memory += made
        return [tensor.data_ptr() for tensor in made]


def slot(
    rule: Rule,
    p: Tensor,
    states: Mapping[str, Tensor],
    numbers: Sequence[float],
    beside: Mapping[str, Tensor],
    place: int,
) -> Slot | None:
    """The slot of a parameter; None where no kernel can take it. `numbers` are the values of hyper-parameters."""
    values = dict(zip(rule.hypers, numbers, strict=True))
    view = rule.view(p.shape)
    tensors = (p, *states.values())
    backend = forms.backend(p.device)
    if backend is None or p.is_neg():
        return None
    if not all(s.dtype in KERNEL_DTYPES and s.device == p.device and s.layout is torch.strided for s in tensors):
        return None
    for name, state in zip(rule.states, states.values(), strict=True):
        shaped = rule.shapes.get(name)
        if tuple(state.shape) != (tuple(p.shape) if shaped is None else shaped.shape(view, values)):
            return None
        if (state.numel() and not state.data_ptr()) or not (shaped is None or state.is_contiguous()):
            return None
    alike = [p, *(state for state in states.values() if state.shape == p.shape)]
    contiguous = all(s.is_contiguous() for s in alike)
    if (p.numel() and not p.data_ptr()) or not (contiguous or _dense(alike)):
        return None
    sizes = tuple((name, values[name]) for name in sorted(sides(rule)))
    dtypes = (p.dtype, p.dtype, *(s.dtype for s in states.values()))
    kind = Kind(dtypes, view if contiguous else None, sizes, p.device, backend)
    return Slot(p, states, kind, view, beside, place)


def _dense(tensors: Sequence[Tensor]) -> bool:
    """Whether all fill their memory without gaps or overlaps, in the same order."""
    # PyTorch keeps the strides of such a tensor, and of no other
    dense = torch.empty_like(tensors[0], memory_format=torch.preserve_format).stride()
    return all(s.stride() == dense for s in tensors)
