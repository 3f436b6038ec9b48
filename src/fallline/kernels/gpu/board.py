"""What lies on a device from step to step: the table, how its entries are shared out to programs, and rows of numbers.

The table is sent only where it has changed: in a training loop that leaves gradients in their place, never.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..cpu import GRADIENT, OTHERS, ROW
from . import capture
from .numbers import Numbers
from .shares import SHAPE, Share, shared_out

_ALIGNED = 16
"""Bytes of the widest loads and stores."""

_TABLES = 16
"""Tables that are kept: the passes of a step with calls differ in where they find what these gave."""


class Table(NamedTuple):
    """A table on the device."""

    there: Tensor
    aligned: bool
    """Whether all arrays begin where the widest loads may."""
    shape: np.ndarray
    """What of it decides on how entries are shared out."""


class Blocks(NamedTuple):
    """Programs of a launch: of each its entry and which of the entry's it is; and where those of a row begin."""

    order: Tensor
    of_row: Tensor


class Board(Numbers):
    """A form's table and rows on a device."""

    def __init__(self, width: int, device: torch.device, plain: int = 0, counts: bool = True) -> None:
        """`width` is the number of values in an entry of the table; the last `plain` of them are no addresses.

        `counts` tells whether the host counts steps, too.
        """
        super().__init__(device, counts)
        self.width = width
        self.addresses = [GRADIENT, *range(OTHERS, width - plain)]
        self.table: Tensor
        self.aligned = True
        self._shape = np.empty((0, len(SHAPE)), np.int64)
        self._tables: dict[bytes, Table] = {}
        self._blocks: dict[Share, Blocks] = {}
        self._rooms: dict[str, Tensor] = {}

    def send_table(self, table: np.ndarray) -> None:
        """Have the table on the device, one line an entry."""
        name = table.tobytes()
        found = self._tables.get(name)
        if found is None:
            found = self._table(table.reshape(-1, self.width))
            if not capture.is_captured(self.device):
                if len(self._tables) == _TABLES:
                    del self._tables[next(iter(self._tables))]
                self._tables[name] = found
        if found.shape is not self._shape:
            if not np.array_equal(found.shape, self._shape):
                self._blocks.clear()
            self._shape = found.shape
        self.table, self.aligned = found.there, found.aligned

    def _table(self, table: np.ndarray) -> Table:
        aligned = not (table[:, self.addresses] % _ALIGNED).any()
        return Table(self.sent(table), aligned, table[:, SHAPE])

    def blocks(self, share: Share) -> Blocks:
        """The programs of a launch."""
        found = self._blocks.get(share)
        if found is None:
            order = shared_out(self._shape, share)
            rows = self._shape[order[:, 0], ROW]
            of_row = np.searchsorted(rows, np.arange(len(self.host_rows) + 1))
            found = Blocks(self.sent(order), self.sent(of_row))
            if not capture.is_captured(self.device):
                self._blocks[share] = found
        return found

    def room(self, name: str, *shape: int) -> Tensor:
        """Memory in float64 for what one launch leaves to another."""
        held = self._rooms.get(name)
        size = math.prod(shape)
        if held is None or held.numel() < size:
            held = self._rooms[name] = torch.empty(size, dtype=torch.float64, device=self.device)
        return held
