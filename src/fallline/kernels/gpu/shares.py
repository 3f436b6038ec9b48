"""How the entries of a table are shared out among the programs of a launch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..cpu import BLOCK, COLUMNS, COUNT, LENGTH, ROW

SHAPE = [ROW, LENGTH, BLOCK, COLUMNS, COUNT]
"""What of an entry this depends on."""

_MANY = 1 << 62


class Share(NamedTuple):
    """Programs of `size` values of an extent each, of the entries for which `least` < `across` <= `most`.

    `across` and `times`, for which there are so many programs more, are extents, of which it is how many values one
    matrix has, the `parts` into which a matrix is cut, or how `deep` a part is.
    """

    extent: str
    size: int
    across: str = "matrix"
    least: int = 0
    most: int = _MANY
    times: str = "matrix"


def shared_out(shape: np.ndarray, share: Share) -> np.ndarray:
    """The programs of a launch, (programs, 2): the entry of each, and which of the entry's it is, by row of numbers.

    `shape` (entries, 5) is what stands in the columns `SHAPE` of the table.
    """
    rows, length = shape[:, :2].T
    block, columns, matrices = np.maximum(shape[:, 2:], 1).T
    values = {
        "elements": length,
        "rows": length // columns,
        "columns": columns,
        "matrix": np.ones_like(length),
        "parts": -(-length // block),
        "deep": np.minimum(length, block) // columns,
    }
    counts = -(-values[share.extent] * matrices // share.size) * values[share.times]
    across = values[share.across]
    counts = np.where((length > 0) & (share.least < across) & (across <= share.most), counts, 0)
    entries = np.argsort(rows, kind="stable")  # those of one row stand together, for their sum
    counts = counts[entries]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([np.repeat(entries, counts), within], -1)
