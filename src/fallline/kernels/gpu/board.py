"""What lies on a device from step to step: the table, the rows of numbers, and how entries are cut into blocks.

The step is counted and numbers are carried there. Something is sent only where it has changed: in a training loop that
leaves gradients in their place and rates as they are, nothing, so that a step can be captured in a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..cpu import COLUMNS, COUNT, GRADIENT, LENGTH, OTHERS, ROW
from ..extent import Extent

_ALIGNED = 16
"""Bytes of the widest loads and stores."""


class Blocks(NamedTuple):
    """Programs of a launch: of each its entry and which of the entry's blocks; and where the blocks of a row begin."""

    order: Tensor
    of_row: Tensor


class Board:
    """A form's table and rows on a device."""

    def __init__(self, width: int, device: torch.device) -> None:
        """`width` is the number of values in an entry of the table."""
        self.width, self.device = width, device
        self.host_table = np.empty((0, width), np.int64)
        self.host_rows = np.empty((0, 0))
        self.inputs = 0
        self.members: list[tuple[Tensor, int]] = []
        """Parameters with their rows."""
        self.aligned = True
        self.forget()

    def forget(self) -> None:
        """Forget how entries are cut."""
        self._blocks: dict[tuple[Extent, int], Blocks] = {}
        self._rooms: dict[str, Tensor] = {}

    def send_table(self, table: np.ndarray) -> None:
        """Have the table on the device, one line an entry."""
        table = table.reshape(-1, self.width)
        if np.array_equal(table, self.host_table):
            return
        shape = [ROW, LENGTH, COLUMNS, COUNT]
        if table.shape != self.host_table.shape or not np.array_equal(table[:, shape], self.host_table[:, shape]):
            self.forget()
        addresses = table[:, [GRADIENT, *range(OTHERS, self.width)]]
        # between matrices, too: their sides are in values, of two bytes at least
        sides = np.stack([table[:, LENGTH] // np.maximum(table[:, COLUMNS], 1), table[:, COLUMNS]])
        self.aligned = not (addresses % _ALIGNED).any() and not (sides % _ALIGNED)[:, table[:, COUNT] > 1].any()
        self.host_table = table.copy()
        self.table = self._sent(self.host_table)

    def send_rows(
        self, rows: Sequence[Sequence[Any]], inputs: int, carried: Sequence[int], kept: Sequence[int]
    ) -> None:
        """Have the rows of numbers on the device; of each the first `inputs` are given, and the step is the first.

        What is a tensor there is copied without waiting for it. `carried` are the columns of carried numbers, `kept`
        those in which a step leaves their new values: from there they are carried on.
        """
        self.inputs = inputs
        host = np.array([[np.nan if isinstance(x, Tensor) else x for x in row] for row in rows], np.float64)
        fresh = host.shape != self.host_rows.shape
        if fresh:
            self.rows = torch.empty(host.shape, dtype=torch.float64, device=self.device)
            self.views = [[self.rows[row, column] for column in kept] for row in range(len(rows))]
        before = self.host_rows.copy()
        if not fresh:
            before[:, 0] += 1
        if fresh or not np.array_equal(host[:, :inputs], before[:, :inputs], equal_nan=True):
            host[:, 0] -= 1  # counted there
            self.rows[:, :inputs] = self._sent(host[:, :inputs])
            host[:, 0] += 1
        self.host_rows = host
        self._copy_tensors(rows, carried, kept)

    def _copy_tensors(self, rows: Sequence[Sequence[Any]], carried: Sequence[int], kept: Sequence[int]) -> None:
        place = dict(zip(carried, kept, strict=True))
        for k, row in enumerate(rows):
            for column, value in enumerate(row):
                target = place.get(column, column)
                if isinstance(value, Tensor) and not any(value is view for view in self.views[k]):
                    self.rows[k, target].copy_(value, non_blocking=True)
                elif column in place and not isinstance(value, Tensor):
                    self.rows[k, target] = value

    def count(self, carried: Sequence[int], kept: Sequence[int]) -> None:
        """Count the step and carry numbers on, where no pass comes first to do it."""
        self.rows[:, 0] += 1
        for column, after in zip(carried, kept, strict=True):
            self.rows[:, column] = self.rows[:, after]

    def read(self, rows: Sequence[int], column: int) -> list[Any]:
        """The numbers of some rows in a column: as the host gave them, else as tensors on the device."""
        told = self.host_rows[list(rows), column]
        if column < self.inputs and not np.isnan(told).any():
            return list(told.tolist())
        return [self.rows[row, column] for row in rows]

    def write(self, rows: Sequence[int], column: int, values: Sequence[Any]) -> None:
        """Put numbers there."""
        for row, value in zip(rows, values, strict=True):
            self.rows[row, column] = value

    def steps(self) -> list[int]:
        """How many steps each row has taken. Waits for the device."""
        return list(map(int, self.rows[:, 0].tolist()))

    def blocks(self, extent: Extent, size: int) -> Blocks:
        """The programs of a launch over everything of an extent, `size` values each."""
        key = (extent, size)
        if key not in self._blocks:
            self._blocks[key] = self._cut(extent, size)
        return self._blocks[key]

    def _cut(self, extent: Extent, size: int) -> Blocks:
        rows, lengths, columns, matrices = (self.host_table[:, k] for k in (ROW, LENGTH, COLUMNS, COUNT))
        counts = {
            "elements": -(-lengths // size),
            "rows": -(-(lengths // np.maximum(columns, 1)) // size),
            "columns": -(-columns // size),
            "matrix": np.ones_like(lengths),
        }[extent]
        entries = np.argsort(rows, kind="stable")  # blocks of one row stand together, for their sum
        counts = np.where(lengths > 0, counts * matrices, 0)[entries]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        order = np.stack([np.repeat(entries, counts), within], -1)
        of_row = np.searchsorted(rows[entries].repeat(counts), np.arange(len(self.host_rows) + 1))
        return Blocks(self._sent(order), self._sent(of_row))

    def room(self, name: str, *shape: int) -> Tensor:
        """Memory in float64 for what one launch leaves to another."""
        held = self._rooms.get(name)
        size = int(np.prod(shape))
        if held is None or held.numel() < size:
            held = self._rooms[name] = torch.empty(size, dtype=torch.float64, device=self.device)
        return held

    def _sent(self, array: np.ndarray) -> Tensor:
        host = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type != "cuda":
            return host.clone()
        return host.pin_memory().to(self.device, non_blocking=True)
