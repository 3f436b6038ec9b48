"""A pass as Triton kernels: compiled when first used, and launched over what a board holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from .. import cache
from ..extent import Extent
from ..program import Layout, Pass
from . import printer
from .board import Board
from .shares import Share

WARPS = {"numbers": 1, "update": 4, "finish": 4, "along_rows": 8, "along_columns": 8, "over_parts": 8, "whole": 8}
"""Warps of a program: what is reduced in float64 takes more registers a value."""


class Launch(NamedTuple):
    """A reduction to more than one value of a tensor: the function, its programs, and the block of one of them."""

    function: str
    share: Share
    deep: int
    """Values that a program reduces at a time."""
    side: int
    """Of how many results."""


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

    @cached_property
    def _derived(self) -> int:
        """How many numbers its elements take."""
        return len(printer.derived(self.step))

    @cached_property
    def _by_number(self) -> bool:
        """Whether there is anything to compute of rows of numbers."""
        return bool(self._derived or self.step.keeps or self.carried is not None)

    @cached_property
    def _by_block(self) -> Share | None:
        """The programs over the elements of tensors."""
        return Share(self.step.extent, printer.BLOCK) if printer.has_update(self.step) else None

    @cached_property
    def _scalars(self) -> int:
        """How many reductions of whole tensors it makes."""
        return len(printer.kinds(self.step).get("scalar", ()))

    @cached_property
    def _along(self) -> tuple[Launch, ...]:
        """Its other reductions."""
        return tuple(launch for into in printer.kinds(self.step) for launch in _launches(into, self.step.extent))

    def launch(self, board: Board) -> None:
        """Do the pass for all entries of a board. Waits for nothing."""
        with board.current():
            derived = board.room("derived", len(board.host_rows), max(1, self._derived))
            if self._by_number:
                self._run(board, "numbers", len(board.host_rows), board.rows, derived)
            for function, share, deep, side in self._along:  # before the stores, which may overwrite what is reduced
                order = board.blocks(share).order
                self._run(board, function, len(order), board.table, order, derived, DEEP=deep, SIDE=side)
            if self._by_block is not None:
                self._update(board, derived, self._by_block)

    def _update(self, board: Board, derived: Tensor, share: Share) -> None:
        order, of_row = board.blocks(share)
        partials = board.room("partials", len(order), max(1, self._scalars))
        given = (board.table, order, derived, partials)
        self._run(board, "update", len(order), *given, ALIGNED=board.aligned, BLOCK=printer.BLOCK)
        if self._scalars:
            self._run(board, "finish", len(board.host_rows), of_row, partials, board.rows, BLOCK=printer.BLOCK)

    def _run(self, board: Board, name: str, programs: int, *args: Tensor, **constants: Any) -> None:
        if programs:
            board.keep(args)
            start(self.functions[name], programs, args, {**constants, "num_warps": WARPS[name]})


def start(function: Any, programs: int, args: Sequence[Tensor], options: Mapping[str, Any]) -> None:
    """Launch a Triton function. Products and sums are not fused: the bits are those of the rule's text."""
    function[(programs,)](*args, **options, enable_fp_fusion=False)


def _launches(into: Extent, extent: Extent) -> Iterator[Launch]:
    """How a pass over an extent reduces: in blocks that fit what is reduced, of 1024 values or few more."""
    if into in ("rows", "matrix"):
        name, across = ("along_rows", "columns") if into == "rows" else ("whole", extent)
        yield Launch(name, Share(into, 128, across, 0, 8), 8, 128)
        yield Launch(name, Share(into, 16, across, 8, 64), 64, 16)
        yield Launch(name, Share(into, 4, across, 64), 256, 4)
    elif into == "columns":
        yield Launch("along_columns", Share(into, 128, "deep", 0, 8, "parts"), 8, 128)
        yield Launch("along_columns", Share(into, 32, "deep", 8, times="parts"), 32, 32)
        yield Launch("over_parts", Share(into, 32, "parts", 1), 32, 32)


@lru_cache(maxsize=None)
def compiled(layout: Layout, step: Pass, dtypes: tuple[str, ...], carried: tuple[str, ...] | None = None) -> Kernel:
    """The kernel of a pass for arrays of these types, in the layout's order."""
    return Kernel(layout, step, dtypes, carried)
