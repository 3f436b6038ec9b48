"""Activations that PyTorch's own loops are slow at. A job is the number of elements of a trial, then addresses."""

from __future__ import annotations

from typing import Any

from numba import float32, njit

from .prelude import SIZE, load_a, load_b, store_c, tanh


@njit(error_model="numpy", fastmath={"contract"})
def tanh_forward(job: Any, trial: Any, room: Any) -> None:
    """Addresses of x and y."""
    count = job[0]
    x, y = job[1] + SIZE * trial * count, job[2] + SIZE * trial * count
    for i in range(count):
        store_c(y, i, tanh(load_a(x, i)))


@njit(error_model="numpy", fastmath={"contract"})
def tanh_backward(job: Any, trial: Any, room: Any) -> None:
    """Addresses of y, its gradient and x's."""
    count = job[0]
    y, g, d = job[1] + SIZE * trial * count, job[2] + SIZE * trial * count, job[3] + SIZE * trial * count
    for i in range(count):
        value = load_a(y, i)
        store_c(d, i, load_b(g, i) * (float32(1) - value * value))
