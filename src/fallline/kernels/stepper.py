"""Stepping tensors by one rule: those that fit kernels gathered in tables, the others by the rule's own text.

A `Stepper` is fed the parameters of one step, then its `steps` are run. What a kernel needs to know of a parameter and
its states is checked once and remembered in a `Slot`; every step then only compares addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..rules.rule import Rule
from ..rules.trace import Walk, chosen, conditions, decision
from . import storage, text
from .batch import Batch
from .form import Form
from .gpu.board import Board
from .gpu.work import DeviceWork
from .operation import UnknownOperation
from .plan import plan
from .slot import Slot
from .slot import slot as make_slot
from .spread import is_spread
from .stack import Room
from .work import Work


class Apart(NamedTuple):
    """A parameter to step that is no plain tensor, or whose gradient is none: others have to stand in for them."""

    parameter: Tensor
    gradient: Tensor
    state: dict[str, Any]
    t: int
    """The step, already counted in `state`."""
    numbers: tuple[float, ...]


class Stepper:
    """Steps any number of tensors, with a row of numbers each, by one rule."""

    def __init__(
        self, rule: Rule, keys: Sequence[str] | None = None, place: Callable[[Tensor], int] = lambda p: 0
    ) -> None:
        """`keys` are the names under which a parameter's state dictionary holds the rule's states.

        `place(p)` is the parameter's place among all that are stepped, for random draws.
        """
        self.rule = rule
        self.keys = tuple(keys or rule.states)
        self.place = place
        self.carried = tuple(rule.numbers)
        self.names = 1 + len(rule.hypers) + len(rule.numbers)
        self.decide = decision(rule) if conditions(rule) else None
        self.keeps = bool(self.keys or self.carried or rule.storage) or _counts(rule)
        self.slots: dict[int, Slot] = {}
        self.room = Room()
        self.batches: dict[Form, list[Batch]] = {}
        self.begin()

    def begin(self) -> None:
        """Forget what was added and not done: a step that failed half-way leaves addresses that may be gone."""
        for several in self.batches.values():
            for batch in several:
                batch.clear()
        self.items: list[tuple[text.Item, dict[str, Any]]] = []
        self.apart: list[Apart] = []

    def add(
        self,
        params: Iterable[Tensor],
        state_of: Mapping[Tensor, dict[str, Any]],
        numbers: tuple[float, ...],
        start: Callable[[Tensor, dict[str, Any]], None],
    ) -> None:
        """Step every parameter that has a gradient with the hyper-parameters `numbers`, once `steps` are run.

        `start(p, state)` makes the states, and the count `step`, that a parameter lacks; it is not called for a rule
        that needs neither.
        """
        # a small model's step is spent in this loop: it asks each tensor as little as is safe
        slots, keeps, carried, decide = self.slots, self.keeps, self.carried, self.decide
        form: Form | None = None
        batch: Batch | None = None
        last = said = None
        own: list[int] = []
        state: dict[str, Any] = {}
        values: tuple[float, ...] = ()
        row, t = 0, 1
        for p in params:
            g = p.grad
            if g is None:
                continue
            slot = slots.get(id(p))
            if keeps:
                state = state_of[p]
            if slot is None or not slot.stands(p, state, keeps):
                if keeps:
                    start(p, state)
                slot = self._slot(p, state, numbers)
            if keeps:
                state["step"] = t = state["step"] + 1
            address = g.data_ptr() if slot is not None and slot.fits(g) else 0
            if slot is None or (not address and slot.length):
                self._by_text(p, g, state, t, numbers)
                continue
            # tensors that shared a row share the numbers that it made
            before, own = own, [id(state[name]) for name in carried] if carried else own
            fresh = t != last or own != before
            if fresh:
                last, values = t, (t, *numbers, *[state[name] for name in carried])
                said = None if decide is None else decide(values)
            if slot.said != said:
                slot.lay_out(said, self.rule if said is None else chosen(self.rule, said))
            if fresh or slot.form is not form:
                form = slot.form
                batch = None if form is None else self._batch(form)
                if batch is not None and not batch.each:
                    row = batch.row(values)
            if batch is None or (batch.calls and not slot.length):
                self._by_text(p, g, state, t, numbers)
                continue
            if batch.each:
                row = batch.new_row(values + slot.facts)
            batch.table += (row, address, *slot.entry)
            for distance, entry in slot.more:
                batch.table += (row, address + distance, *entry)
            batch.blocks += slot.blocks
            batch.elements += slot.length
            batch.members.append((slot, g, row))
            if carried and (slot.length or batch.sums):
                batch.carriers.append((state, row))
            if batch.full:
                form = None  # the next tensor begins another stack

    def steps(self) -> list[Walk]:
        """The steps that were added and are not done: to be run with those of all of an optimizer's steppers.

        What is in `apart` is not among them.
        """
        batches = [self._by_kernel(batch) for several in self.batches.values() for batch in several if batch.members]
        return [*batches, *(self._item(item, state) for item, state in self.items)]

    def _item(self, item: text.Item, state: dict[str, Any]) -> Walk:
        after = yield from text.steps(self.rule, item)
        state.update(zip(self.carried, after, strict=True))

    def _by_kernel(self, batch: Batch) -> Walk:
        work = self._work(batch)
        for columns in work.run(self.room):
            sums = yield work.sums(columns)
            work.receive(columns, sums)
        if batch.carriers:
            after = work.carried()
            for state, row in batch.carriers:
                state.update(zip(self.carried, after[row], strict=True))
        # memory was written behind autograd's back; a stale graph must notice
        torch.autograd.graph.increment_version([slot.parameter for slot, _, _ in batch.members])

    def _work(self, batch: Batch) -> Work | DeviceWork:
        form = batch.form
        table = np.array(batch.table, np.int64)
        stack = batch.stacked(self.place) if batch.calls else None
        if form.kind.backend == "numba":
            return Work(form, table, np.array(batch.rows, np.float64), batch.blocks, batch.elements, stack)
        if batch.board is None:
            batch.board = Board(form.width, form.kind.device, 2 * form.program.layout.draws, self.keeps)
        batch.board.members = [(slot.parameter, row) for slot, _, row in batch.members]
        return DeviceWork(form, table, batch.rows, batch.board, stack)

    def settle(self, state_of: Mapping[Tensor, dict[str, Any]]) -> None:
        """Tell the states how many steps were taken on devices: replays of a CUDA graph count there alone."""
        boards = [batch.board for several in self.batches.values() for batch in several if batch.board is not None]
        for board in boards:
            steps = board.steps()
            for p, row in board.members:
                if "step" in state_of.get(p, {}):
                    state_of[p]["step"] = steps[row]

    def _batch(self, form: Form) -> Batch:
        for batch in self.batches.get(form, ()):
            if not batch.full:
                return batch
        made = Batch(form, self.names)
        self.batches.setdefault(form, []).append(made)
        return made

    def _slot(self, p: Tensor, state: dict[str, Any], numbers: tuple[float, ...]) -> Slot | None:
        """The parameter's slot, or None where a kernel cannot take it."""
        states = {key: state[key] for key in self.keys}
        scales = {key: state[key] for key in (key + storage.SCALE for key in self.keys) if key in state}
        made = make_slot(self.rule, p, states, numbers, scales, self.place(p))
        if made is None:
            self.slots.pop(id(p), None)
        else:
            self.slots[id(p)] = made
        return made

    def _by_text(self, p: Tensor, g: Tensor, state: dict[str, Any], t: int, numbers: tuple[float, ...]) -> None:
        if not (_is_plain(p) and _is_plain(g)):
            self.apart.append(Apart(p, g, state, t, numbers))
            return
        carried = [state[name] for name in self.carried]
        pairs = zip(self.rule.states, self.keys, strict=True)
        tensors = (p, *(storage.held(self.rule, name, key, state) for name, key in pairs))
        item = text.Item(tensors, g, (t, *numbers), carried, self.place(p))
        self.items.append((item, state))


def _is_plain(tensor: Tensor) -> bool:
    """Whether the tensor is neither sparse nor spread over processes (a `DTensor`)."""
    return tensor.layout is torch.strided and not is_spread(tensor)


def _counts(rule: Rule) -> bool:
    """Whether the rule asks for the step, as far as can be told."""
    try:
        return plan(rule).reads("t")
    except UnknownOperation:
        return True
