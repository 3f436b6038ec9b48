"""How far a value of a rule extends: one for all parameters, one a tensor, one an element, a row, a column.

A tensor of a rule is seen as matrices, its last two dimensions (a vector is one row). Values of different extents meet
by broadcasting, as in PyTorch: a row's with a column's give an element's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

Extent = Literal["number", "scalar", "matrix", "rows", "columns", "elements", "other"]
"""One for all parameters with equal settings; one a tensor; one a matrix (1, 1), a row (rows, 1), a column
(1, columns) or an element; and every other shape, of which kernels know nothing."""

DOMAINS: tuple[Extent, ...] = ("elements", "rows", "columns", "matrix")
"""What a kernel loops over."""

_REDUCED: dict[tuple[Extent, int], Extent] = {
    ("elements", -1): "rows",
    ("elements", -2): "columns",
    ("rows", -2): "matrix",
    ("columns", -1): "matrix",
}


def is_tensor(extent: Extent) -> bool:
    """Whether a value of that extent is a tensor, and not one number for all of a tensor."""
    return extent not in ("number", "scalar")


def joined(extents: Iterable[Extent]) -> Extent:
    """The extent of what values of these extents give together."""
    found = set(extents)
    if "other" in found:
        return "other"
    if "elements" in found or {"rows", "columns"} <= found:
        return "elements"
    return next((extent for extent in ("rows", "columns", "matrix", "scalar") if extent in found), "number")


def reduced(extent: Extent, dim: int) -> Extent | None:
    """The extent of a reduction along a dimension that is kept; None where kernels have none."""
    return _REDUCED.get((extent, dim))


def shape_of(extent: Extent, view: Sequence[int]) -> tuple[int, ...]:
    """The shape of a value of that extent, for a parameter that the rule sees in the shape `view`."""
    sides = {"elements": view[-2:], "rows": (*view[-2:-1], 1), "columns": (1, *view[-1:])[-len(view) :]}
    return (*view[:-2], *sides.get(extent, (1, 1)[-len(view) :])) if view else ()


def extent_of(shape: Sequence[int], view: Sequence[int]) -> Extent:
    """The extent of a tensor of that shape."""
    return next((extent for extent in DOMAINS if shape_of(extent, view) == tuple(shape)), "other")
