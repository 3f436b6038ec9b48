"""Cross-entropy of a trial: its mean and its gradient in one go, while the scores are in the cache."""

from __future__ import annotations

import math
from typing import Any

from numba import float32, int64, njit

from .prelude import SIZE, carray, exponential, fill, get, load_a, pointer, put, store_c


@njit(error_model="numpy")
def _exponentials(row: Any, out: Any, c: Any) -> Any:
    """Of the scores less the highest, which is returned."""
    highest = get(row, 0)
    for j in range(1, c):
        value = get(row, j)
        highest = value if value > highest else highest
    for j in range(c):
        store_c(out, j, exponential(load_a(row, j) - highest))
    return highest


@njit(error_model="numpy", fastmath={"reassoc", "nsz"})
def _sum(row: Any, c: Any) -> Any:
    total = float32(0)
    for j in range(c):
        total += get(row, j)
    return total


@njit(error_model="numpy")
def cross_entropy(job: Any, trial: Any, room: Any) -> None:
    """Numbers of examples N and classes C, the class that is left out, the distance between two trials' classes (0: the
    same for all); addresses of the scores (N, C), the classes (N), the losses (1) and the scores' gradients (N, C).

    A class that there is not makes the loss infinitely low, which no loss is.
    """
    n, c, ignored = job[0], job[1], job[2]
    scores, gradients = job[4] + SIZE * trial * n * c, job[7] + SIZE * trial * n * c
    classes = carray(pointer(job[5] + 8 * trial * job[3]), (n,), int64)
    counted = 0
    for k in range(n):
        counted += classes[k] != ignored
    share, total = float32(1) / float32(counted), 0.0
    for k in range(n):
        row, out, right = scores + SIZE * k * c, gradients + SIZE * k * c, classes[k]
        if right == ignored:
            fill(out, c, float32(0))
            continue
        if right < 0 or right >= c:
            total = -math.inf
            continue
        highest = _exponentials(row, out, c)
        weight = _sum(out, c)
        scale = share / weight
        for j in range(c):
            put(out, j, get(out, j) * scale)
        put(out, right, get(out, right) - share)
        total += math.log(weight) - (get(row, right) - highest)
    put(job[6], trial, float32(total / counted))
