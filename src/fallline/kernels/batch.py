"""What is gathered for one form's work: the table, the rows of numbers, and whose they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .form import Form
from .gpu.board import Board
from .slot import Slot
from .stack import Stack

_STACKED = {"numba": 1 << 18, "triton": 1 << 22}
"""Elements from which no further tensor joins a stack, by backend: of large ones a call saves less than copies take."""


class Batch:
    """The table and the rows of one form's work, and what is kept of it from step to step: its stack, its board."""

    def __init__(self, form: Form, names: int) -> None:
        self.stack: Stack | None = None
        self.board: Board | None = None
        self.form, self.each, self.calls, self.sums = form, form.each, form.program.calls, form.sums
        self.blank = (0.0,) * (len(form.program.layout.columns) - names - self.each * len(form.facts))
        self.most = _STACKED[form.kind.backend] if self.calls else math.inf
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.table: list[int] = []
        self.rows: list[tuple[float, ...]] = []
        self.row_of: dict[tuple[float, ...], int] = {}
        self.blocks = self.elements = 0
        self.members: list[tuple[Slot, Tensor, int]] = []
        """Slots with their gradients and rows."""
        self.carriers: list[tuple[dict[str, Any], int]] = []

    def row(self, values: tuple[float, ...]) -> int:
        """The row with these values: one for all parameters of a group, as long as they have had equally many steps."""
        row = self.row_of.get(values)
        if row is None:
            row = self.row_of[values] = self.new_row(values)
        return row

    def new_row(self, values: tuple[float, ...]) -> int:
        """A row of a tensor's own."""
        self.rows.append(values + self.blank)
        return len(self.rows) - 1

    @property
    def full(self) -> bool:
        """Whether no further tensor should join those that calls take together."""
        return self.elements >= self.most

    def stacked(self, place: Callable[[Tensor], int]) -> Stack:
        """The tensors as a stack, for calls; `place(p)` is a parameter's place in the optimizer."""
        slots, given, rows = zip(*self.members, strict=True)
        lead = (1,) if len(slots) > 1 else ()
        gradients = [_seen(g, slot, lead) for slot, g in zip(slots, given, strict=True)]
        if self.stack is not None and self.stack.owners == slots and self.stack.rows == rows:
            self.stack.renew(gradients)
            return self.stack
        members = {"p": [_seen(slot.parameter, slot, lead) for slot in slots], "g": gradients}
        for k, name in enumerate(self.form.rule.states):
            members[name] = [_seen(slot.states[k][1], slot, lead) for slot in slots]
        places = [place(slot.parameter) for slot in slots]
        self.stack = Stack(self.form, slots[0].view, members, rows, places, slots)
        return self.stack


def _seen(tensor: Tensor, slot: Slot, lead: tuple[int, ...]) -> Tensor:
    """A tensor of a parameter in the shape as the rule sees it, after a `lead`."""
    shape = slot.view if tensor.shape == slot.parameter.shape else tensor.shape
    tensor = tensor.detach() if tensor.requires_grad else tensor
    return tensor.view(*lead, *shape) if lead or shape != tensor.shape else tensor
