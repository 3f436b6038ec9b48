"""The tensors of one shape, stacked for the PyTorch functions that a rule calls; and the memory in which they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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

    def read(self, rows: np.ndarray, column: int) -> list[Any]:
        """The numbers of some rows in a column."""

    def write(self, rows: np.ndarray, column: int, values: Sequence[Any]) -> None:
        """Put numbers there."""


class Room:
    """Memory for temporaries, kept from step to step."""

    def __init__(self) -> None:
        self.free: dict[tuple[Any, ...], list[Tensor]] = {}

    @contextmanager
    def lend(self) -> Iterator[Lent]:
        """Memory that is free again afterwards."""
        lent = Lent(self)
        try:
            yield lent
        finally:
            for tensor in lent.tensors:
                self.free[tuple(tensor.shape), tensor.dtype, tensor.device].append(tensor)


class Lent:
    """Tensors borrowed from a room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.tensors: list[Tensor] = []

    def take(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor with anything in it."""
        free = self.room.free.setdefault((tuple(shape), dtype, device), [])
        self.tensors.append(free.pop() if free else torch.empty(tuple(shape), dtype=dtype, device=device))
        return self.tensors[-1]


class Stack:
    """Tensors of one shape: `members[array]` are inputs (count, *shape) each, all members' counts alike in order.

    `rows` tells the row of numbers of each tensor, `places` its place in the optimizer, for random draws.
    """

    def __init__(
        self,
        form: Form,
        view: Sequence[int],
        members: Mapping[str, Sequence[Tensor]],
        rows: Sequence[int],
        places: Sequence[int],
    ) -> None:
        self.form, self.view, self.members = form, tuple(view), members
        self.cut = geometry(form, self.view)
        self.rows, self.places = np.array(rows), tuple(places)
        self.count = len(rows)
        self.matrices = self.count * self.cut.matrices
        self.values: dict[str, Any] = {}

    def open(self, lent: Lent, table: np.ndarray) -> None:
        """Give the temporaries that passes make their places in memory, and in the table."""
        called = {step.name for step in self.form.program.steps if isinstance(step, Apply)}
        for array in self.form.program.layout.arrays:
            if not array.temporary or array.name in called:
                continue
            shape = (self.count, *shape_of(array.extent, self.view))
            if self.form.reduced.get(array.name) == "columns":
                shape = (self.matrices, self.cut.blocks, self.cut.columns)
            self._place(array.name, lent.take(shape, self.form.dtypes[array.name], self.form.kind.device), table)

    def _place(self, name: str, tensor: Tensor, table: np.ndarray) -> None:
        self.values[name] = tensor
        step = tensor.numel() // max(1, self.matrices) * tensor.element_size()
        table[:, self.form.places[name]] = tensor.data_ptr() + step * np.arange(self.matrices)

    def apply(self, step: Apply, table: np.ndarray, rows: Rows) -> None:
        """Call a function: once for all where it may be, else for each tensor."""
        tensors = {source.value: self._tensor(source) for source in step.sources if not _is_number(source)}
        numbers = {source.value: self._numbers(source, rows) for source in step.sources if _is_number(source)}
        at_once = step.call.stacks and self.count > 1 and all(map(self._alike, numbers.values()))
        with torch.no_grad():
            if at_once:
                with ops.drawn_for(self.places):
                    made = step.call.run((tensors | {name: n[0] for name, n in numbers.items()}).__getitem__)
            else:
                made = _together([self._alone(step, k, tensors, numbers) for k in range(self.count)])
        self._keep(step, made, table, rows)

    def _alone(self, step: Apply, k: int, tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> Any:
        """What a function gives for one tensor."""
        with ops.drawn_for(self.places[k]):
            return step.call.run(
                lambda name: numbers[name][k] if name in numbers else _each(lambda x: x[k], tensors[name])
            )

    def _alike(self, numbers: Sequence[Any]) -> bool:
        """Whether a number is the same for all tensors, as far as can be told without waiting for a device."""
        if any(isinstance(number, Tensor) and not number.is_cpu for number in numbers):
            return bool((self.rows == self.rows[0]).all())
        return len({*map(float, numbers)}) == 1

    def _numbers(self, source: Source, rows: Rows) -> list[Any]:
        numbers = rows.read(self.rows, self.form.program.layout.columns.index(source.place))
        if source.extent == "number":
            return [number != 0 for number in numbers] if source.boolean else list(numbers)
        return [torch.as_tensor(number, dtype=self.form.dtype) for number in numbers]

    def _tensor(self, source: Source) -> Any:
        """What a call takes, stacked, in the type that is computed in."""
        if source.place not in self.values:
            self.values[source.place] = self._stacked(source.place)
        value = self.values[source.place]
        if self.form.reduced.get(source.place) == "columns":
            value = value[:, 0].reshape(self.count, *shape_of("columns", self.view))
        if source.boolean:
            return value != 0
        return _each(lambda x: x.to(self.form.dtype) if x.is_floating_point() else x, value)

    def _stacked(self, name: str) -> Tensor:
        members = self.members[name]
        return members[0] if len(members) == 1 else torch.cat(tuple(members))

    def forget(self, written: Iterable[str]) -> None:
        """Inputs that were written are to be stacked anew."""
        for name in written:
            if name in self.members:
                self.values.pop(name, None)

    def _keep(self, step: Apply, made: Any, table: np.ndarray, rows: Rows) -> None:
        if step.extent == "scalar":
            rows.write(self.rows, self.form.program.layout.columns.index(step.name), made)
        elif step.extent == "other":
            self.values[step.name] = made
        else:
            expected = (self.count, *shape_of(step.extent, self.view))
            if tuple(made.shape) != expected:
                raise RuleError(
                    f"rule {self.form.rule.name!r}: `{step.call.title}` gave the shape {tuple(made.shape[1:])} where "
                    f"it was expected to give {expected[1:]}."
                )
            self._place(step.name, made.to(self.form.dtype).contiguous(), table)

    def copy(self, step: Copy) -> None:
        """Write what calls gave into states."""
        targets: list[Tensor] = []
        sources: list[Tensor] = []
        for state, array in step.pairs:
            value = self._stacked(array).clone() if array in self.members else self.values[array]
            targets += self.members[state]
            sources += value.split([len(member) for member in self.members[state]])
        with torch.no_grad():
            torch._foreach_copy_(targets, sources)


def _is_number(source: Source) -> bool:
    return source.extent in ("number", "scalar")


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    """The function of a tensor, or of each in a structure of them."""
    return function(value) if isinstance(value, Tensor) else tree_map(function, value)


def _together(made: Sequence[Any]) -> Any:
    """What a function gave for each tensor, stacked; numbers and other things in a list."""
    if isinstance(made[0], Tensor):
        return made[0].unsqueeze(0) if len(made) == 1 else torch.stack(tuple(made))
    if len(made) == 1:
        return tree_map(lambda x: x.unsqueeze(0) if isinstance(x, Tensor) else [x], made[0])
    return tree_map(lambda *x: torch.stack(x) if isinstance(x[0], Tensor) else [*x], *made)
