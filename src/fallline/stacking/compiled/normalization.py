"""Batch normalization over a trial's examples, forward and backward.

A job holds N, C, L (examples, channels, numbers in each) and addresses: x (N, C, L), weight (C) or 0, bias (C) or 0,
eps (1), the means and variances (C), then those that the function names.
"""

from __future__ import annotations

import math
from typing import Any

from numba import float32, njit

from .prelude import SIZE, fill, get, put


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _sum(x: Any, count: Any) -> Any:
    total = float32(0)
    for i in range(count):
        total += get(x, i)
    return total


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _squares(x: Any, mean: Any, count: Any) -> Any:
    total = float32(0)
    for i in range(count):
        d = get(x, i) - mean
        total += d * d
    return total


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _products(x: Any, g: Any, mean: Any, count: Any) -> Any:
    total = float32(0)
    for i in range(count):
        total += (get(x, i) - mean) * get(g, i)
    return total


@njit(error_model="numpy", fastmath={"contract"})
def _line(x: Any, y: Any, scale: Any, shift: Any, count: Any) -> None:
    for i in range(count):
        put(y, i, get(x, i) * scale + shift)


@njit(error_model="numpy", fastmath={"contract"})
def _line_back(x: Any, g: Any, gx: Any, by_g: Any, by_x: Any, rest: Any, count: Any) -> None:
    for i in range(count):
        put(gx, i, by_g * get(g, i) + by_x * get(x, i) + rest)


@njit(error_model="numpy", fastmath={"contract"})
def _moments(x: Any, mean: Any, var: Any, n: Any, channels: Any) -> None:
    """Of every column of x (n, channels)."""
    share = float32(1) / float32(n)
    fill(mean, channels, float32(0))
    fill(var, channels, float32(0))
    for k in range(n):
        for c in range(channels):
            put(mean, c, get(mean, c) + get(x, k * channels + c))
    for c in range(channels):
        put(mean, c, get(mean, c) * share)
    for k in range(n):
        for c in range(channels):
            d = get(x, k * channels + c) - get(mean, c)
            put(var, c, get(var, c) + d * d)
    for c in range(channels):
        put(var, c, get(var, c) * share)


@njit(error_model="numpy", fastmath={"contract"})
def _columns(x: Any, y: Any, scale: Any, shift: Any, n: Any, channels: Any) -> None:
    for k in range(n):
        for c in range(channels):
            put(y, k * channels + c, get(x, k * channels + c) * get(scale, c) + get(shift, c))


@njit(error_model="numpy")
def forward(job: Any, trial: Any, room: Any) -> None:
    """Then y (N, C, L). Means and variances are written."""
    n, channels, length = job[0], job[1], job[2]
    x = job[3] + SIZE * trial * n * channels * length
    weight, bias = job[4] + SIZE * trial * channels, job[5] + SIZE * trial * channels
    eps = get(job[6], 0)
    mean, var = job[7] + SIZE * trial * channels, job[8] + SIZE * trial * channels
    y = job[9] + SIZE * trial * n * channels * length
    scale, shift = room, room + SIZE * channels
    step = SIZE * channels * length
    if length == 1:
        _moments(x, mean, var, n, channels)
    for c in range(channels):
        at = SIZE * c * length
        if length > 1:
            total = float32(0)
            for k in range(n):
                total += _sum(x + k * step + at, length)
            m = total / float32(n * length)
            total = float32(0)
            for k in range(n):
                total += _squares(x + k * step + at, m, length)
            put(mean, c, m)
            put(var, c, total / float32(n * length))
        s = (get(weight, c) if job[4] else float32(1)) / math.sqrt(get(var, c) + eps)
        t = (get(bias, c) if job[5] else float32(0)) - get(mean, c) * s
        put(scale, c, s)
        put(shift, c, t)
        if length > 1:
            for k in range(n):
                _line(x + k * step + at, y + k * step + at, s, t, length)
    if length == 1:
        _columns(x, y, scale, shift, n, channels)


@njit(error_model="numpy", fastmath={"contract"})
def _column_sums(x: Any, g: Any, mean: Any, sums: Any, products: Any, n: Any, channels: Any) -> None:
    fill(sums, channels, float32(0))
    fill(products, channels, float32(0))
    for k in range(n):
        for c in range(channels):
            v = get(g, k * channels + c)
            put(sums, c, get(sums, c) + v)
            put(products, c, get(products, c) + v * (get(x, k * channels + c) - get(mean, c)))


@njit(error_model="numpy", fastmath={"contract"})
def _columns_back(x: Any, g: Any, gx: Any, by_g: Any, by_x: Any, rest: Any, n: Any, channels: Any) -> None:
    for k in range(n):
        for c in range(channels):
            i = k * channels + c
            put(gx, i, get(by_g, c) * get(g, i) + get(by_x, c) * get(x, i) + get(rest, c))


@njit(error_model="numpy")
def backward(job: Any, trial: Any, room: Any) -> None:
    """Then the gradient by y (N, C, L), and those by x, the weight (C) and the bias (C), which are written."""
    n, channels, length = job[0], job[1], job[2]
    x = job[3] + SIZE * trial * n * channels * length
    weight = job[4] + SIZE * trial * channels
    eps = get(job[6], 0)
    mean, var = job[7] + SIZE * trial * channels, job[8] + SIZE * trial * channels
    g = job[9] + SIZE * trial * n * channels * length
    gx = job[10] + SIZE * trial * n * channels * length
    gw, gb = job[11] + SIZE * trial * channels, job[12] + SIZE * trial * channels
    by_g, by_x, rest = room, room + SIZE * channels, room + 2 * SIZE * channels
    step = SIZE * channels * length
    share = float32(1) / float32(n * length)
    if length == 1:
        _column_sums(x, g, mean, gb, gw, n, channels)
    for c in range(channels):
        at = SIZE * c * length
        m = get(mean, c)
        if length > 1:
            total, products = float32(0), float32(0)
            for k in range(n):
                total += _sum(g + k * step + at, length)
                products += _products(x + k * step + at, g + k * step + at, m, length)
        else:
            total, products = get(gb, c), get(gw, c)
        inverse = float32(1) / math.sqrt(get(var, c) + eps)
        s = (get(weight, c) if job[4] else float32(1)) * inverse
        slope = -s * inverse * inverse * products * share
        put(gb, c, total)
        put(gw, c, products * inverse)
        put(by_g, c, s)
        put(by_x, c, slope)
        put(rest, c, -s * total * share - slope * m)
        if length > 1:
            for k in range(n):
                _line_back(x + k * step + at, g + k * step + at, gx + k * step + at, s, slope, get(rest, c), length)
    if length == 1:
        _columns_back(x, g, gx, by_g, by_x, rest, n, channels)
