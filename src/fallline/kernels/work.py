"""A program under way: its passes over a table of tensors, its rounds, its calls, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..rules import ops
from . import threads
from .cpu import COLUMNS, COUNT, LENGTH, Kernel
from .form import Form
from .program import Apply, Copy
from .stack import Room, Rows, Stack


class Held:
    """Rows of numbers in the host's memory."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def read(self, rows: Sequence[int], column: int) -> list[Any]:
        """The numbers of some rows in a column."""
        return [self.rows.item(row, column) for row in rows]

    def write(self, rows: Sequence[int], column: int, values: Sequence[Any]) -> None:
        """Put numbers there."""
        for row, value in zip(rows, values, strict=True):
            self.rows[row, column] = float(value)


@dataclass
class Work:
    """Tensors to step by one form.

    `table` and `rows` are what kernels are given, `blocks` and `elements` how many there are in all. A form with calls
    has its tensors as a `stack`, too.
    """

    form: Form
    table: np.ndarray
    rows: np.ndarray
    blocks: int
    elements: int
    stack: Stack | None = None

    def run(self, room: Room) -> Iterator[tuple[int, ...]]:
        """Do it all. Yields columns wherever these are to be summed over all rows, before it goes on."""
        return run(self.form, self.stack, room, self.table, Held(self.rows), self.launch)

    def launch(self, kernel: Any) -> None:
        """Run a pass."""
        if kernel.by_blocks:
            threads.run(kernel, self.table, self.rows, self.blocks, self.elements * kernel.arrays)
        elif self.table.size == self.form.width:
            length, columns, count = map(self.table.item, (LENGTH, COLUMNS, COUNT))
            self._vectors(kernel, count, count * (length // columns + columns))
        else:
            lengths, columns, counts = self.table.reshape(-1, self.form.width)[:, [LENGTH, COLUMNS, COUNT]].T
            self._vectors(kernel, int(counts.sum()), int((counts * (lengths // columns + columns)).sum()))

    def _vectors(self, kernel: Kernel, count: int, values: int) -> None:
        threads.run(kernel, self.table, self.rows, count, values * kernel.arrays)

    def sums(self, columns: Sequence[int]) -> tuple[Any, ...]:
        """The sums of columns over all rows."""
        if len(self.rows) == 1:
            return tuple([self.rows.item(0, column) for column in columns])
        return tuple([float(self.rows[:, column].sum()) for column in columns])

    def receive(self, columns: Sequence[int], sums: Sequence[Any]) -> None:
        """Give all rows what a column comes to over everything that is stepped."""
        for column, total in zip(columns, sums, strict=True):
            self.rows[:, column] = float(total)

    def carried(self) -> Sequence[list[Any]]:
        """The carried numbers' new values by row."""
        return list(self.rows[:, self.form.kept].tolist())


def run(
    form: Form, stack: Stack | None, room: Room, table: np.ndarray, rows: Rows, launch: Callable[[Any], None]
) -> Iterator[tuple[int, ...]]:
    """Do the steps of a form, `launch` its passes; yields the columns of its rounds."""
    if stack is None:
        for columns, kernels in form.parts:
            if columns:
                yield columns
            for kernel in kernels:
                launch(kernel)
        return
    table = table.reshape(-1, form.width)
    with room.lend() as lent:
        stack.open(lent, table)
        try:
            for columns, steps in form.parts:
                if columns:
                    yield columns
                _do(steps, stack, table, rows, launch)
        finally:
            stack.close()


def _do(steps: Sequence[Any], stack: Stack, table: np.ndarray, rows: Rows, launch: Callable[[Any], None]) -> None:
    with torch.no_grad(), ops.drawn_for(stack.places if stack.lead else stack.places[0]):
        for step in steps:
            if isinstance(step, Apply):
                stack.apply(step, table, rows)
            elif isinstance(step, Copy):
                stack.copy(step)
            else:
                launch(step)
                stack.forget(step.writes)
