"""A pass as Triton kernels: compiled when first used, and launched over what a board holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from torch import Tensor

from .. import cache
from ..extent import Extent
from ..program import Layout, Pass
from . import printer
from .board import Board


@dataclass(frozen=True)
class Kernel:
    """A pass for arrays of given types. `carried` are the carried numbers, of a program's first pass, which counts."""

    layout: Layout
    step: Pass
    dtypes: tuple[str, ...]
    carried: tuple[str, ...] | None = None

    @cached_property
    def functions(self) -> Mapping[str, Any]:
        """The Triton functions by name."""
        names = (array.name for array in self.layout.arrays)
        types = dict(zip(names, self.dtypes, strict=True))
        text = printer.text(self.layout, self.step, types, self.carried)
        found: Mapping[str, Any] = cache.load(text, "KERNELS")
        return found

    @property
    def writes(self) -> tuple[str, ...]:
        """The arrays that it stores to."""
        return tuple(array for array, _ in self.step.stores)

    def launch(self, board: Board) -> None:
        """Do the pass for all entries of a board. Waits for nothing."""
        wanted = len(printer.derived(self.step))
        derived = board.room("derived", len(board.rows), max(1, wanted))
        if wanted or self.step.keeps or self.carried is not None:
            self._run("numbers", len(board.rows), board.rows, derived)
        made = printer.kinds(self.step)
        for into, (name, size) in _ALONG.items():
            if into in made:  # before the stores, which may overwrite what is reduced
                order, _ = board.blocks(into, size)
                self._run(name, len(order), board.table, order, derived, ALONG=printer.ALONG)
        if printer.has_update(self.step):
            self._update(board, derived, len(made.get("scalar", ())))

    def _update(self, board: Board, derived: Tensor, scalars: int) -> None:
        order, of_row = board.blocks(self.step.extent, printer.BLOCK)
        partials = board.room("partials", len(order), max(1, scalars))
        given = (board.table, order, derived, partials)
        self._run("update", len(order), *given, ALIGNED=board.aligned, BLOCK=printer.BLOCK)
        if scalars:
            self._run("finish", len(board.rows), of_row, partials, board.rows, BLOCK=printer.BLOCK)

    def _run(self, name: str, programs: int, *args: Tensor, **constants: Any) -> None:
        if programs:
            self.functions[name][(programs,)](*args, **constants, **_EXACT)


_ALONG: dict[Extent, tuple[str, int]] = {
    "rows": ("along_rows", 1),
    "columns": ("along_columns", printer.ALONG),
    "matrix": ("whole", 1),
}
"""The functions that reduce to vectors, and how much of these a program makes."""

_EXACT = {"enable_fp_fusion": False}
"""No products and sums fused: the same bits as the rule's text where the arithmetic is the same."""


@lru_cache(maxsize=None)
def compiled(layout: Layout, step: Pass, dtypes: tuple[str, ...], carried: tuple[str, ...] | None = None) -> Kernel:
    """The kernel of a pass for arrays of these types, in the layout's order."""
    return Kernel(layout, step, dtypes, carried)
