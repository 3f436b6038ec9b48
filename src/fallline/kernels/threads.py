"""Sharing one kernel call among threads: each does its part of the line on which all tensors stand."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any

import torch

from .cpu import Kernel

_WORTH_A_THREAD = 1 << 19
"""Array elements per thread below which waking another thread costs more than it saves."""

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def run(kernel: Kernel, table: Any, rows: Any, length: int, arrays: int) -> None:
    """Step `length` elements of `arrays` arrays each, on as many threads as PyTorch uses and the work is worth."""
    threads = min(torch.get_num_threads(), length * arrays // _WORTH_A_THREAD)
    if threads < 2:
        kernel(table, rows, 0, length)
        return
    cuts = [length * k // threads for k in range(threads + 1)]
    pool = _pool(threads - 1)
    others = [pool.submit(kernel, table, rows, a, b) for a, b in pairwise(cuts[1:])]
    try:
        kernel(table, rows, cuts[0], cuts[1])
    finally:
        # the addresses in the table must outlive every part, even when this thread is interrupted
        wait(others)
    for other in others:
        other.result()


def _pool(size: int) -> ThreadPoolExecutor:
    key = os.getpid(), size  # a forked child has none of its parent's threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(size, thread_name_prefix="fallline")
    return _pools[key]
