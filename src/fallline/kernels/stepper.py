"""Stepping tensors by one rule: those that fit a kernel gathered in one call, the others by the rule's own text.

A `Stepper` is fed the parameters of one step, then its `steps` are run. What a kernel needs to know of a parameter and
its states is checked once and remembered in a `Slot`; every step then only compares addresses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..rules.rule import Rule
from ..rules.trace import Walk, conditions, trace
from . import cpu, text, threads
from .plan import Plan, UnknownOperation, plan

KERNEL_DTYPES = {getattr(torch, name): name for name in cpu.DTYPES}


class Slot(NamedTuple):
    """A parameter that a kernel can step: addresses and layout, as found when its states were last looked at."""

    parameter: Tensor
    states: tuple[tuple[str, Tensor, int], ...]
    """Of each state its name, its tensor and that tensor's address."""
    address: int
    state_addresses: tuple[int, ...]
    length: int
    dtype: torch.dtype
    strides: tuple[int, ...]
    contiguous: bool


class _Batch:
    """The table and the rows of one kernel call."""

    def __init__(self) -> None:
        self.table: list[int] = []
        self.rows: list[Sequence[float]] = []
        self.row_of: dict[Any, int] = {}
        self.length = 0
        self.carriers: list[tuple[dict[str, Any], int]] = []

    def row(self, values: tuple[float, ...], carried: tuple[float, ...] = ()) -> int:
        """The row with these values: one for all parameters of a group, as long as they have had equally many steps."""
        key = (values, carried)
        row = self.row_of.get(key)
        if row is None:
            row = self.row_of[key] = len(self.rows)
            self.rows.append((*values, *carried, *carried))
        return row


class Stepper:
    """Steps any number of tensors, with a row of numbers each, by one rule."""

    def __init__(self, rule: Rule, keys: Sequence[str] | None = None) -> None:
        """`keys` are the names under which a parameter's state dictionary holds the rule's states."""
        self.rule = rule
        self.keys = tuple(keys or rule.states)
        self.carried = tuple(rule.numbers)
        self.plan = kernel_plan(rule)
        self.keeps = bool(self.keys or self.carried) or self.plan is None or self.plan.reads("t")
        self.slots: dict[int, Slot] = {}
        self.kernels: dict[torch.dtype, cpu.Kernel] = {}
        self.begin()

    def begin(self) -> None:
        """Forget what was added and not done: a step that failed half-way leaves addresses that may be gone."""
        self.batches: dict[torch.dtype, _Batch] = {}
        self.stepped: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self.items: list[tuple[text.Item, dict[str, Any]]] = []

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
        slots, keeps, carried = self.slots, self.keeps, self.carried
        dtype = batch = last = None
        state: dict[str, Any] = {}
        row, t = 0, 1
        for p in params:
            g = p.grad
            if g is None:
                continue
            slot = slots.get(id(p))
            if keeps:
                state = state_of[p]
            if slot is None or not _in_place(slot, p) or (keeps and not _kept(slot, state)):
                if keeps:
                    start(p, state)
                slot = self._slot(p, state)
            if keeps:
                state["step"] = t = state["step"] + 1
            address = g.data_ptr() if slot is not None and _fits(slot, g) else 0
            if slot is None or (not address and slot.length):
                self._by_text(p, g, state, t, numbers)
                continue
            if slot.dtype is not dtype or batch is None:
                dtype, last = slot.dtype, None
                batch = self.batches.setdefault(dtype, _Batch())
            if carried:
                row = batch.row((t, *numbers), tuple([state[name] for name in carried]))
                batch.carriers.append((state, row))
            elif t != last:
                row, last = batch.row((t, *numbers)), t
            batch.table += (slot.length, row, slot.address, address, *slot.state_addresses)
            batch.length += slot.length
            self.stepped.append(p)
            self.gradients.append(g)

    def steps(self) -> list[Walk]:
        """The steps that were added and are not done: to be run with those of all of an optimizer's steppers."""
        return [self._by_kernel(), *(self._item(item, state) for item, state in self.items)]

    def _item(self, item: text.Item, state: dict[str, Any]) -> Walk:
        after = yield from text.steps(self.rule, item)
        state.update(zip(self.carried, after, strict=True))

    def _by_kernel(self) -> Walk:
        yield from ()
        for dtype, batch in self.batches.items():
            assert self.plan is not None
            kernel = self.kernels.get(dtype)
            if kernel is None:
                kernel = self.kernels[dtype] = cpu.compiled(self.plan, KERNEL_DTYPES[dtype], self.rule.name)
            rows = np.array(batch.rows, np.float64)
            threads.run(kernel, np.array(batch.table, np.int64), rows, batch.length)
            for state, row in batch.carriers:
                state.update(zip(self.carried, rows[row, -len(self.carried) :].tolist(), strict=True))
        if self.stepped:
            # memory was written behind autograd's back; a stale graph must notice
            torch.autograd.graph.increment_version(self.stepped)

    def _slot(self, p: Tensor, state: dict[str, Any]) -> Slot | None:
        """The parameter's slot, or None where a kernel cannot take it."""
        states = tuple(state[key] for key in self.keys)
        if self.plan is None or not _kernel_can_take(p, states):
            self.slots.pop(id(p), None)
            return None
        known = tuple((key, s, s.data_ptr()) for key, s in zip(self.keys, states, strict=True))
        where = (p.data_ptr(), tuple(address for _, _, address in known))
        slot = Slot(p, known, *where, p.numel(), p.dtype, p.stride(), p.is_contiguous())
        self.slots[id(p)] = slot
        return slot

    def _by_text(self, p: Tensor, g: Tensor, state: dict[str, Any], t: int, numbers: tuple[float, ...]) -> None:
        if g.layout is not torch.strided:
            raise InputError(f"{self.rule.name} was given a sparse gradient; it takes dense gradients only.")
        carried = [state[name] for name in self.carried]
        item = text.Item((p, *(state[key] for key in self.keys)), g, (t, *numbers), carried)
        self.items.append((item, state))


def kernel_plan(rule: Rule) -> Plan | None:
    """The rule's plan, or None where it is to be stepped by its text."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None
    graph = trace(rule)
    if rule.otherwise or rule.shapes or "scalar" in graph.kinds.values() or conditions(rule):
        return None
    try:
        return plan(rule)
    except UnknownOperation:
        return None


def _in_place(slot: Slot, p: Tensor) -> bool:
    """Whether the parameter still lies where and as it did."""
    if p.data_ptr() != slot.address or slot.parameter is not p or p.numel() != slot.length:
        return False
    return p.is_contiguous() if slot.contiguous else p.stride() == slot.strides


def _kept(slot: Slot, state: dict[str, Any]) -> bool:
    """Whether the states are there and still lie where they did."""
    for key, tensor, address in slot.states:
        if state.get(key) is not tensor or tensor.data_ptr() != address or tensor.numel() != slot.length:
            return False
    return "step" in state


def _fits(slot: Slot, g: Tensor) -> bool:
    """Whether the gradient lies as the parameter does, and its memory holds its values as they are."""
    if g.dtype is not slot.dtype or g.is_neg():
        return False
    return g.is_contiguous() if slot.contiguous else g.layout is torch.strided and g.stride() == slot.strides


def _kernel_can_take(p: Tensor, states: Sequence[Tensor]) -> bool:
    def alike(tensor: Tensor) -> bool:
        return tensor.dtype is p.dtype and tensor.is_cpu and tensor.layout is torch.strided

    tensors = (p, *states)
    if p.dtype not in KERNEL_DTYPES or p.is_neg() or not all(alike(s) and s.shape == p.shape for s in tensors):
        return False
    if p.numel() and not all(s.data_ptr() for s in tensors):
        return False
    if all(s.is_contiguous() for s in tensors):
        return True
    # PyTorch keeps the strides of a tensor that fills its memory without gaps or overlaps, and of no other
    dense = torch.empty_like(p, memory_format=torch.preserve_format).stride()
    return all(s.stride() == dense for s in tensors)
