"""A program under way on a device: the same steps as on the CPU, over a board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..form import Form
from ..stack import Room, Stack
from ..work import run
from .board import Board
from .kernel import Kernel
from .numbers import Rows


class DeviceWork:
    """Tensors to step by one form, on a device. In `rows`, numbers that are there already are tensors."""

    def __init__(self, form: Form, table: np.ndarray, rows: Rows, board: Board, stack: Stack | None = None) -> None:
        self.form, self.rows, self.board, self.stack = form, rows, board, stack
        self.table = table.reshape(-1, form.width)

    def run(self, room: Room) -> Iterator[tuple[int, ...]]:
        """Do it all. Yields columns wherever these are to be summed over all rows, before it goes on."""
        first = 1 + len(self.form.rule.hypers)
        carried = range(first, first + len(self.form.rule.numbers))
        inputs = carried.stop + len(self.form.facts)
        self.board.send_rows(self.rows, inputs, carried, self.form.kept)
        if not isinstance(self.form.steps[0], Kernel):
            self.board.count(carried, self.form.kept)
        return run(self.form, self.stack, room, self.table, self.board, self._launch)

    def _launch(self, kernel: Any) -> None:
        self.board.send_table(self.table)
        kernel.launch(self.board)

    def sums(self, columns: Sequence[int]) -> tuple[Any, ...]:
        """The sums of columns over all rows, left on the device."""
        return tuple(self.board.rows[:, column].sum() for column in columns)

    def receive(self, columns: Sequence[int], sums: Sequence[Any]) -> None:
        """Give all rows what a column comes to over everything that is stepped."""
        for column, total in zip(columns, sums, strict=True):
            self.board.rows[:, column] = total  # a number, or a tensor on any device

    def carried(self) -> Sequence[list[Any]]:
        """The carried numbers' new values by row, where they stand on the device."""
        return self.board.views
