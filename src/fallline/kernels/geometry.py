"""How a tensor of a shape is cut for a form's kernels: into matrices, and those into blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

from .dither import BLOCK
from .form import Form
from .lowbits import FIRST, PLACE, scales

_BLOCK = 1 << 14
"""Elements of a block: enough to keep a thread at work, few enough to share a tensor among many."""

_ROWS = 64
"""Rows of a block, at least, where columns are summed: every block leaves a row of sums behind."""

Entry = tuple[int, ...]
"""What the table says after a row and a gradient's address: length, block, columns and count of matrices, addresses."""


class Geometry:
    """Of a tensor that the rule sees in the shape `view`: its matrices, their lengths, and how these are cut.

    Where rows and columns do not matter, the tensor is one matrix of one column.
    """

    def __init__(self, form: Form, view: tuple[int, ...]) -> None:
        self.form = form
        seen: dict[str, tuple[int, ...]] = {"#numel": view, "#rows": view[-2:-1], "#columns": view[-1:]}
        self.facts = tuple(float(math.prod(seen[name])) for name in form.facts)
        matters = form.by_matrix and 0 not in view
        self.matrices: int = math.prod(view[:-2]) if matters else 1
        self.columns: int = math.prod(view[-1:]) if matters else 1
        self.length = math.prod(view) // self.matrices
        least = _ROWS if "columns" in form.reduced.values() else 1
        self.block = self.columns * max(least, _BLOCK // self.columns)
        self.blocks = -(-self.length // self.block)
        """Of one matrix."""
        self.sizes = {array.name: self._size(array.kind) for array in form.program.layout.arrays}
        """Values of a matrix in each array; where columns are summed, there is a place for each block's sums."""
        self.steps = {name: size * form.dtypes[name].itemsize for name, size in self.sizes.items()}
        self.steps |= {scales(name): -(-self.length // BLOCK) for name in form.program.layout.coded}
        self.steps |= {PLACE: 0, FIRST: self.length}
        """What an entry's numbers grow by from one matrix to the next: bytes, and elements."""

    def _size(self, kind: str) -> int:
        return {
            "elements": self.length,
            "rows": self.length // self.columns,
            "columns": self.columns,
            "sums": self.columns * max(1, self.blocks),
        }.get(kind, 1)

    def entry(self, addresses: Sequence[int]) -> Entry:
        """The entry of all matrices; `addresses` are the arrays', in the table's order."""
        return (self.length, self.block, self.columns, self.matrices, *addresses)

    def entries(self, addresses: Sequence[int]) -> Iterator[Entry]:
        """An entry for each matrix."""
        steps = [self.steps[name] for name in self.form.others]
        for k in range(self.matrices):
            at = (address + k * step for address, step in zip(addresses, steps, strict=True))
            yield (self.length, self.block, self.columns, 1, *at)


@lru_cache(maxsize=None)
def geometry(form: Form, view: tuple[int, ...]) -> Geometry:
    """How tensors seen in the shape `view` are cut for a form."""
    return Geometry(form, view)
