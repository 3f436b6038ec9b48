"""A curve as the record keeps it: its columns one after another as little-endian float64, 8 bytes a number.

Every number comes back bit for bit, infinities and NaN included. A value that is not there (None) is a NaN of its own,
as R's NA is: 7ff8 0000 0000 07a2. Steps and epochs are whole numbers below 2**53, which float64 holds exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, overload

import numpy as np

from ...training import Point

Array = np.ndarray[Any, np.dtype[np.float64]]

COLUMNS = tuple(field.name for field in fields(Point))
_WHOLE = frozenset({"epoch", "step"})
_ABSENT = 0x7FF8_0000_0000_07A2
_ABSENT_BYTES = struct.pack("<Q", _ABSENT)


class Curve(Sequence[Point]):
    """The points of a curve, made from its packed columns when they are asked for."""

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        if len(packed) % (8 * len(COLUMNS)):
            raise ValueError(f"{len(packed)} bytes are no curve")
        self.packed = packed

    def column(self, name: str) -> Array:
        """One value of every point, as an array that must not be written to; NaN where there is none."""
        count = len(self)
        return np.frombuffer(self.packed, "<f8", count, 8 * count * COLUMNS.index(name))

    def values(self, name: str) -> list[Any]:
        """One value of every point; None where there is none."""
        column = self.column(name)
        if name in _WHOLE:
            return list(column.astype(np.int64).tolist())
        values: list[Any] = column.tolist()
        for place in np.flatnonzero(column.view("<u8") == _ABSENT).tolist():
            values[place] = None
        return values

    def __len__(self) -> int:
        return len(self.packed) // (8 * len(COLUMNS))

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Point, ...]: ...
    def __getitem__(self, index: int | slice) -> Point | tuple[Point, ...]:
        count = len(self)
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(count)))
        place = range(count)[index]
        return Point(*(self._value(name, place + count * i) for i, name in enumerate(COLUMNS)))

    def __iter__(self) -> Iterator[Point]:
        columns = (self.values(name) for name in COLUMNS)
        return (Point(*values) for values in zip(*columns, strict=True))

    def __eq__(self, other: object) -> bool:
        """Whether the other holds the same points to the last bit; NaN equals NaN here."""
        if isinstance(other, Curve):
            return other.packed == self.packed
        if isinstance(other, Sequence) and all(isinstance(point, Point) for point in other):
            return pack(other) == self.packed
        return NotImplemented

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _value(self, name: str, place: int) -> Any:
        raw = self.packed[8 * place : 8 * place + 8]
        if raw == _ABSENT_BYTES:
            return None
        (value,) = struct.unpack("<d", raw)
        return int(value) if name in _WHOLE else value


def pack(points: Iterable[Point]) -> bytes:
    """The bytes of a curve; `Curve` reads them."""
    if isinstance(points, Curve):
        return points.packed
    points = list(points)
    return pack_columns([[getattr(point, name) for point in points] for name in COLUMNS])


def pack_columns(columns: Sequence[Sequence[float | None]]) -> bytes:
    """The bytes of a curve that is given as columns, in the order of a point's fields and of one length."""
    if len(columns) != len(COLUMNS) or len({len(column) for column in columns}) != 1:
        raise ValueError("the columns of a curve must be of one length")
    table = np.array(columns, dtype="<f8")  # None becomes NaN
    table[np.isnan(table)] = np.nan
    bits = table.view("<u8")
    for row, column in zip(bits, columns, strict=True):
        if None in column:
            row[[place for place, value in enumerate(column) if value is None]] = _ABSENT
    return table.tobytes()
