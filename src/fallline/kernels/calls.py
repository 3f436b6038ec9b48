"""How kernels are called: from Python on arrays, and by threads that share a step.

A kernel is a C function of addresses and numbers: the table, how many numbers it has, the rows of numbers, how many
there are, the partial sums, and which blocks to do, `begin` and `end`. What calls it is compiled once for all kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from . import cache

_ALONE = """\
# how a kernel is called on arrays: made by Fallline
from numba import njit

from fallline.kernels.memory import address, call


@njit(
    "void(int64, int64[::1], float64[:, ::1], float64[:, ::1], int64, int64)",
    nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=CACHE,
)
def alone(kernel, table, rows, partials, begin, end):
    call(kernel, address(table), table.size, address(rows), rows.shape[0], address(partials), begin, end)
"""

_SHARE = """\
# how threads share the calls of a kernel: made by Fallline
from numba import cfunc

from fallline.kernels.memory import call, integer, take
from fallline.kernels.pipeline import Kernels


@cfunc("void(int64)", error_model="numpy", pipeline_class=Kernels, cache=CACHE)
def share(job):
    step = integer(job, 1)
    length = integer(job, 2)
    begin = take(job, step)
    while begin < length:
        call(
            integer(job, 3), integer(job, 4), integer(job, 5), integer(job, 6), integer(job, 7), integer(job, 8),
            begin, min(begin + step, length),
        )
        begin = take(job, step)
"""


@lru_cache(maxsize=None)
def alone() -> Callable[..., None]:
    """`alone(kernel, table, rows, partials, begin, end)`: the kernel at an address does blocks on this thread."""
    function: Callable[..., None] = cache.load(_ALONE, "alone")
    return function


@lru_cache(maxsize=None)
def share() -> Any:
    """A C function that takes part in the job at an address; it needs no Python and stops when all is done.

    A job is nine int64: where the next blocks begin (counted up by all), how many to take, how many there are, the
    address of the kernel, address and size of the table, address and count of the rows, address of the partial sums.
    """
    return cache.load(_SHARE, "share")
