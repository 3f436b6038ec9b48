"""What is gathered for one form's work: the table, the rows of numbers, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .form import Form
from .slot import Slot
from .stack import Stack


class Batch:
    """The table and the rows of one form's work."""

    def __init__(self, form: Form, names: int) -> None:
        self.form, self.each, self.calls, self.sums = form, form.each, form.program.calls, form.sums
        self.blank = (0.0,) * (len(form.program.layout.columns) - names - self.each * len(form.facts))
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

    def stack(self, place: Callable[[Tensor], int]) -> Stack:
        """The tensors as a stack, for calls; `place(p)` is a parameter's place in the optimizer."""
        slots = [slot for slot, _, _ in self.members]
        members = {"p": [_stacked(slot.parameter, slot) for slot in slots]}
        members["g"] = [_stacked(g, slot) for slot, g, _ in self.members]
        for k, name in enumerate(self.form.rule.states):
            members[name] = [_stacked(slot.states[k][1], slot) for slot in slots]
        places = [place(slot.parameter) for slot in slots]
        return Stack(self.form, slots[0].view, members, [row for _, _, row in self.members], places)


def _stacked(tensor: Tensor, slot: Slot) -> Tensor:
    """A tensor of a parameter as a stack of one, the shape as the rule sees it."""
    tensor = tensor.detach()
    shape = slot.view if tensor.shape == slot.parameter.shape else tensor.shape
    return tensor.view(1, *shape)
