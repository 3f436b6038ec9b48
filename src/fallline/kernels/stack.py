"""The tensors of one shape, stacked for the PyTorch functions that a rule calls; and the memory in which they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..errors import RuleError
from ..rules import ops
from .extent import shape_of
from .form import Form
from .geometry import geometry
from .program import Apply, Copy, Source


class Rows(Protocol):
    """Rows of numbers, wherever they are."""

    def read(self, rows: Sequence[int], column: int) -> list[Any]:
        """The numbers of some rows in a column."""

    def write(self, rows: Sequence[int], column: int, values: Sequence[Any]) -> None:
        """Put numbers there."""


class Room:
    """Memory for temporaries, kept from step to step."""

    def __init__(self) -> None:
        self.free: dict[tuple[Any, ...], list[Tensor]] = {}

    def lend(self) -> Lent:
        """Memory that is free again after a `with` block."""
        return Lent(self)


class Lent:
    """Tensors borrowed from a room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.tensors: list[tuple[tuple[Any, ...], Tensor]] = []

    def __enter__(self) -> Lent:
        return self

    def __exit__(self, *_: object) -> None:
        for kind, tensor in self.tensors:
            self.room.free[kind].append(tensor)

    def take(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor with anything in it."""
        kind = shape, dtype, device
        free = self.room.free.setdefault(kind, [])
        tensor = free.pop() if free else torch.empty(shape, dtype=dtype, device=device)
        self.tensors.append((kind, tensor))
        return tensor


class Stack:
    """Tensors of one shape: `members[array]` are inputs (count, *shape) each, all members' counts alike in order.

    One tensor alone is not stacked: its inputs have its shape, as has what functions are given and give. `rows` tells
    the row of numbers of each tensor, `places` its place in the optimizer, for random draws, and `owners` whether the
    next step's tensors are the same.
    """

    def __init__(
        self,
        form: Form,
        view: Sequence[int],
        members: Mapping[str, Sequence[Tensor]],
        rows: Sequence[int],
        places: Sequence[int],
        owners: tuple[object, ...] = (),
    ) -> None:
        self.form, self.view = form, tuple(view)
        self.cut = geometry(form, self.view)
        self.rows, self.places, self.owners = tuple(rows), tuple(places), owners
        self.distinct = self.rows[:1] if len({*self.rows}) == 1 else self.rows
        """The rows that may hold other numbers."""
        self.count = len(rows)
        self.matrices = self.count * self.cut.matrices
        self.lead = () if self.count == 1 else (self.count,)
        self.members = dict(members)
        self.seen = {} if self.lead else {name: own[0] for name, own in members.items() if self._is_seen(name, own[0])}
        """Inputs that calls take as they lie in memory."""
        self.values: dict[str, Any] = dict(self.seen)

    def _is_seen(self, name: str, tensor: Tensor) -> bool:
        return name != "g" and self._computable(tensor) is tensor

    def renew(self, gradients: Sequence[Tensor]) -> None:
        """Begin another step of the same tensors, with their new gradients."""
        self.members["g"] = gradients

    def close(self) -> None:
        """Keep neither gradients nor what was made of them until the next step."""
        self.members["g"] = ()
        self.values = dict(self.seen)

    def open(self, lent: Lent, table: np.ndarray) -> None:
        """Give the temporaries that passes make their places in memory, and in the table."""
        for name, shape in self._passed.items():
            self._place(name, lent.take(shape, self.form.dtypes[name], self.form.kind.device), table)

    @cached_property
    def _passed(self) -> dict[str, tuple[int, ...]]:
        """The temporaries that passes make, with their shapes."""
        called = {step.name for step in self.form.program.steps if isinstance(step, Apply)}
        shapes = {}
        for array in self.form.program.layout.arrays:
            if array.temporary and array.name not in called:
                shapes[array.name] = (*self.lead, *shape_of(array.extent, self.view))
                if self.form.reduced.get(array.name) == "columns":
                    shapes[array.name] = (self.matrices, self.cut.blocks, self.cut.columns)
        return shapes

    @cached_property
    def _called(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what calls give."""
        steps = [step for step in self.form.program.steps if isinstance(step, Apply)]
        return {step.name: (*self.lead, *shape_of(step.extent, self.view)) for step in steps}

    def _place(self, name: str, tensor: Tensor, table: np.ndarray) -> None:
        self.values[name] = tensor
        if name not in self.form.touched:
            return
        address: Any = tensor.data_ptr()
        if self.matrices > 1:
            address = address + tensor.numel() // self.matrices * tensor.element_size() * np.arange(self.matrices)
        table[:, self.form.places[name]] = address

    def apply(self, step: Apply, table: np.ndarray, rows: Rows) -> None:
        """Call a function: once for all where it may be, else for each tensor."""
        given = dict(self.seen)
        for source in step.tensors:
            if source.value not in given:
                given[source.value] = self._tensor(source)
        numbers = {source.value: self._numbers(source, rows) for source in step.numbers}
        if not self.lead or (step.call.stacks and all(map(_alike, numbers.values()))):
            for name, several in numbers.items():
                given[name] = several[0]
            made = step.call.run(given)
        else:
            made = _together([self._alone(step, k, given, numbers) for k in range(self.count)])
        for name in step.call.writes:
            self._return(name)
        self._keep(step, made, table, rows)

    def _return(self, name: str) -> None:
        """Give the members what was written over in their stack, unless they are written themselves."""
        members, value = self.members[name], self.values[name]
        if self.lead:
            torch._foreach_copy_(list(members), value.split([len(member) for member in members]))
        elif value is not members[0]:
            members[0].copy_(value)

    def _alone(self, step: Apply, k: int, tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> Any:
        """What a function gives for one tensor."""
        own = {name: _each(lambda x: x[k], value) for name, value in tensors.items()}
        with ops.drawn_for(self.places[k]):
            return step.call.run(own | {name: several[k % len(several)] for name, several in numbers.items()})

    def _numbers(self, source: Source, rows: Rows) -> list[Any]:
        """A number for each tensor, or one for all."""
        numbers = rows.read(self.distinct, self.form.program.layout.place[source.place])
        if source.extent == "number":
            return [number != 0 for number in numbers] if source.boolean else numbers
        return [torch.as_tensor(number, dtype=self.form.dtype) for number in numbers]

    def _tensor(self, source: Source) -> Any:
        """What a call takes, stacked, in the type that is computed in."""
        value = self.values.get(source.place)
        if value is None:
            value = self.values[source.place] = self._computable(self._stacked(source.place))
        into = self.form.reduced.get(source.place)
        if into == "columns":
            value = value[:, 0].reshape(*self.lead, *shape_of("columns", self.view))
        if source.boolean:
            return value != 0
        return value if into is None else self._computable(value)

    def _computable(self, value: Any) -> Any:
        dtype = self.form.dtype
        return _each(lambda x: x.to(dtype) if x.dtype is not dtype and x.is_floating_point() else x, value)

    def _stacked(self, name: str) -> Tensor:
        members = self.members[name]
        return members[0] if len(members) == 1 else torch.cat(tuple(members))

    def forget(self, written: Iterable[str]) -> None:
        """Inputs that were written are to be stacked anew."""
        for name in written:
            if name in self.members and name not in self.seen:
                self.values.pop(name, None)

    def _keep(self, step: Apply, made: Any, table: np.ndarray, rows: Rows) -> None:
        if step.extent == "scalar":
            values = made if self.lead else [made]
            rows.write(self.rows, self.form.program.layout.place[step.name], values)
        elif step.extent == "other":
            self.values[step.name] = self._computable(made)
        else:
            expected = self._called[step.name]
            if made.shape != expected:
                given, needed = (tuple(shape)[len(self.lead) :] for shape in (made.shape, expected))
                raise RuleError(
                    f"rule {self.form.rule.name!r}: `{step.call.title}` gave the shape {given} where "
                    f"it was expected to give {needed}."
                )
            made = made if made.dtype is self.form.dtype else made.to(self.form.dtype)
            self._place(step.name, made.contiguous() if step.name in self.form.touched else made, table)

    def copy(self, step: Copy) -> None:
        """Write what calls gave into states."""
        targets: list[Tensor] = []
        sources: list[Tensor] = []
        for state, array in step.pairs:
            value = self._stacked(array).clone() if array in self.members else self.values[array]
            targets += self.members[state]
            sources += value.split([len(member) for member in self.members[state]]) if self.lead else [value]
        torch._foreach_copy_(targets, sources)


def _alike(numbers: Sequence[Any]) -> bool:
    """Whether a number is the same for all tensors, as far as can be told without waiting for a device."""
    far = any(isinstance(number, Tensor) and not number.is_cpu for number in numbers)
    return len(numbers) == 1 or (not far and len({*map(float, numbers)}) == 1)


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    """The function of a tensor, or of each in a structure of them."""
    if isinstance(value, Tensor):
        return function(value)
    if type(value) is list:
        return [_each(function, part) for part in value]
    return tree_map(function, value)


def _together(made: Sequence[Any]) -> Any:
    """What a function gave for each tensor, stacked; numbers and other things in a list."""
    if isinstance(made[0], Tensor):
        return torch.stack(tuple(made))
    return tree_map(lambda *x: torch.stack(x) if isinstance(x[0], Tensor) else [*x], *made)
