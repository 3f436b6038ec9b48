"""Rows of numbers on a device, where steps are counted and numbers are carried from one to the next.

Something is sent only where it has changed; in a training loop that leaves rates as they are, nothing. In a CUDA graph
the count must not be sent: every replay would set it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import capture
from .capture import Sender, refuse_capture

Rows = Sequence[Sequence[Any]] | np.ndarray
"""Rows of numbers: some may be tensors on the device."""


class Numbers(Sender):
    """The rows of numbers of a form."""

    def __init__(self, device: torch.device, counts: bool = True) -> None:
        """`counts` tells whether the host counts steps, too."""
        super().__init__(device)
        self.counts = counts
        self.host_rows = np.empty((0, 1))
        self.rows = torch.empty(0, 1)
        self.inputs = 0
        self.views: list[list[Tensor]] = []
        """Of each row the numbers that the step has left to carry on."""
        self._members: list[tuple[Tensor, int]] = []
        self._are_others = False
        self._is_unsent = False

    @property
    def members(self) -> list[tuple[Tensor, int]]:
        """Parameters with their rows."""
        return self._members

    @members.setter
    def members(self, members: list[tuple[Tensor, int]]) -> None:
        before = self._members
        same = len(before) == len(members) and all(
            p is q and row == other for (p, row), (q, other) in zip(before, members, strict=True)
        )
        self._members, self._are_others = members, self._are_others or not same

    def send_rows(self, rows: Rows, inputs: int, carried: Sequence[int], kept: Sequence[int]) -> None:
        """Have the rows of numbers on the device; of each the first `inputs` are given, and the step is the first.

        What is a tensor there is copied without waiting for it. `carried` are the columns of carried numbers, `kept`
        those in which a step leaves their new values: from there they are carried on.

        Raises `InputError` where a CUDA graph captures a step that does not follow another one.
        """
        host = _numbers(rows)
        before = self.host_rows
        # states hold the numbers of a row that now is of other tensors: they keep the memory, and rows get another
        fresh = host.shape != before.shape or bool(kept and self._are_others)
        follows = not fresh and (not self.counts or np.array_equal(host[:, 0], before[:, 0] + 1))
        if not follows:
            refuse_capture(self.device)
        self.host_rows, self.inputs, self._are_others = host, inputs, False
        if fresh:
            self.rows = torch.empty(host.shape, dtype=torch.float64, device=self.device)
            self.views = [[self.rows[row, column] for column in kept] for row in range(len(rows))]
        if not follows:
            self._send_inputs(0)
        elif self._is_unsent or not np.array_equal(host[:, 1:inputs], before[:, 1:inputs], equal_nan=True):
            self._send_inputs(1)
        for column in np.flatnonzero(np.isnan(host[:, :inputs]).any(0)).tolist():
            if column not in carried:
                self._copy_tensors([row[column] for row in rows], column)
        for number, (column, target) in enumerate(zip(carried, kept, strict=True)):
            values = [row[column] for row in rows]
            if not all(value is views[number] for value, views in zip(values, self.views, strict=True)):
                self._carry(values, target)

    def _send_inputs(self, first: int) -> None:
        """Send what is given, from a column on; the step itself is counted there."""
        values = self.host_rows[:, first : self.inputs].copy()
        if first == 0:
            values[:, 0] -= 1
        self.rows[:, first : self.inputs].copy_(self.sent(values))
        self._is_unsent |= capture.is_captured(self.device)  # every replay sends this, whatever a later step has sent

    def _copy_tensors(self, values: Sequence[Any], column: int) -> None:
        """Copy a column's tensors into the rows, once for neighbours that have the same."""
        begin = 0
        for _, same in groupby(values, id):
            value, *others = same
            end = begin + 1 + len(others)
            if isinstance(value, Tensor):
                self.rows[begin:end, column].copy_(value, non_blocking=True)
            begin = end

    def _carry(self, values: Sequence[Any], target: int) -> None:
        """Put carried numbers that are not there yet where a step would leave them."""
        refuse_capture(self.device)
        if any(isinstance(value, Tensor) for value in values):
            for row, value in enumerate(values):
                self.rows[row, target] = value
        else:
            self.rows[:, target].copy_(self.sent(np.array(values, np.float64)))

    def count(self, carried: Sequence[int], kept: Sequence[int]) -> None:
        """Count the step and carry numbers on, where no pass comes first to do it."""
        self.rows[:, 0].add_(1)
        for column, after in zip(carried, kept, strict=True):
            self.rows[:, column].copy_(self.rows[:, after])

    def read(self, rows: Sequence[int], column: int) -> list[Any]:
        """The numbers of some rows in a column: as the host gave them, else as tensors on the device.

        The step is the host's only outside of a CUDA graph, whose replays count on.
        """
        told = self.host_rows[list(rows), column]
        if column < self.inputs and not np.isnan(told).any() and (column or not capture.is_captured(self.device)):
            return list(told.tolist())
        return [self.rows[row, column] for row in rows]

    def write(self, rows: Sequence[int], column: int, values: Sequence[Any]) -> None:
        """Put numbers there."""
        for row, value in zip(rows, values, strict=True):
            self.rows[row, column] = value

    def steps(self) -> list[int]:
        """How many steps each row has taken. Waits for the device."""
        steps = self.rows[:, 0].tolist()
        self.host_rows[:, 0] = steps
        return list(map(int, steps))


def _numbers(rows: Rows) -> np.ndarray:
    """The rows, NaN where there is a tensor: to read it is to wait for it."""
    if isinstance(rows, np.ndarray):
        return rows.copy()
    if any(issubclass(kind, Tensor) for kind in {*map(type, chain.from_iterable(rows))}):
        rows = [[np.nan if isinstance(x, Tensor) else x for x in row] for row in rows]
    return np.array(rows, np.float64)
