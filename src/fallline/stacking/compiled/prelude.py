"""What the other files are written with: numbers by address, and exponentials in loops that vectorize.

These files are text that is put together before it is compiled (see the package): they import from here for the reader.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np  # noqa: F401
from numba import cfunc, float32, int64, njit, void  # noqa: F401
from numba.extending import intrinsic

from fallline.kernels import memory
from fallline.kernels.arithmetic import exp32
from fallline.kernels.memory import array, take  # noqa: F401

carray: Any = vars(numba)["carray"]
pointer: Any = memory.pointer

CACHE = globals().get("CACHE", False)
SIZE = float32(0).itemsize
"""Bytes of a number."""

load_a, _ = array("float32", 0, 3)
load_b, _ = array("float32", 1, 3)
load_c, store_c = array("float32", 2, 3)


def _place(context: Any, builder: Any, address: Any, index: Any) -> Any:
    return builder.gep(builder.inttoptr(address, context.get_value_type(float32).as_pointer()), [index], inbounds=True)


@intrinsic
def _get(typing: Any, address: Any, index: Any) -> Any:
    """Number `index` of the array at an address, which may be any other's too."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, *args), align=SIZE)

    return float32(int64, int64), generate


@intrinsic
def _put(typing: Any, address: Any, index: Any, value: Any) -> Any:
    """Write number `index` of the array at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, *args[:2]), align=SIZE)
        return context.get_dummy_value()

    return void(int64, int64, float32), generate


@intrinsic
def _outlined(typing: Any) -> Any:
    """Keep the function that calls this a function of its own: what is said of its arrays holds inside it alone."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return void(), generate


get: Any = _get
put: Any = _put
outlined: Any = _outlined


@njit(inline="always", error_model="numpy")
def exponential(x: Any) -> Any:
    """e**x."""
    return exp32(x) if SIZE == 4 else math.exp(x)


@njit(inline="always", error_model="numpy")
def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x)."""
    return float32(1) / (float32(1) + exponential(-x))


@njit(inline="always", error_model="numpy")
def tanh(x: Any) -> Any:
    """The hyperbolic tangent: by its continued fraction near zero, where the exponential's would cancel."""
    if SIZE == 8:
        return math.tanh(x)
    s = x * x
    near = x * (float32(945) + s * (float32(105) + s)) / (float32(945) + s * (float32(420) + float32(15) * s))
    far = float32(1) - float32(2) / (exponential(x + x) + float32(1))
    return near if s < float32(0.25) else far


@njit(error_model="numpy")
def fill(address: Any, count: Any, value: Any) -> None:
    """Write one number everywhere."""
    for i in range(count):
        put(address, i, value)


@njit(error_model="numpy")
def copy(source: Any, target: Any, count: Any) -> None:
    """Copy numbers that follow one another."""
    for i in range(count):
        put(target, i, get(source, i))


@njit(error_model="numpy")
def transpose(source: Any, target: Any, rows: Any, columns: Any) -> None:
    """From (rows, columns) to (columns, rows)."""
    for i in range(rows):
        for j in range(columns):
            put(target, j * rows + i, get(source, i * columns + j))
