"""Sharing one step among threads.

On Linux the threads are those that PyTorch itself computes with: its OpenMP library is asked, by the call that compiled
`#pragma omp parallel` code makes, to run `calls.share` on its team. A team of our own would find the cores taken,
since OpenMP's threads keep spinning for a while after a backward pass. Elsewhere a pool of Python threads does it.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import calls
from .cpu import Kernel

_WORTH_A_THREAD = 1 << 16
"""Array elements per thread below which waking another thread costs more than it saves."""

_PARTS = 16
"""Parts per thread: a thread that is held up leaves what it has not begun to the others."""

Team = Callable[[Any, int, int], None]
"""`team(share, job, threads)`: run the C function `share` on that many threads, and wait for all."""


def run(kernel: Kernel, table: Any, rows: Any, blocks: int, work: int) -> None:
    """Run a pass over all blocks, on as many threads as PyTorch uses and so many array elements are worth."""
    partials = np.empty((blocks, kernel.scalars)) if kernel.scalars else rows
    threads = min(torch.get_num_threads(), work // _WORTH_A_THREAD, blocks)
    if threads < 2:
        kernel.alone(table, rows, partials, 0, blocks)
        return
    part = max(1, blocks // (threads * _PARTS))
    given = (table.ctypes.data, table.size, rows.ctypes.data, len(rows), partials.ctypes.data)
    job = np.array([0, part, blocks, kernel.address, *given], np.int64)
    team()(calls.share(), job.ctypes.data, threads)
    if kernel.finishes:
        kernel.alone(table, rows, partials, blocks, blocks)


@lru_cache(maxsize=None)
def team() -> Team:
    """The team of threads of this machine."""
    library = _openmp()
    return _pool_team if library is None else _openmp_team(library)


def _openmp_team(library: ctypes.CDLL) -> Team:
    parallel = library.GOMP_parallel
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    parallel.restype = None

    def run_on_team(share: Any, job: int, threads: int) -> None:
        parallel(share.address, job, threads, 0)

    return run_on_team


def _openmp() -> ctypes.CDLL | None:
    """The OpenMP library that PyTorch has loaded; None where that cannot be told, or it is another kind."""
    try:
        loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    except OSError:
        return None
    found = [path for path in sorted(loaded) if re.match(r"lib(g|i|)omp", os.path.basename(path))]
    home = str(Path(torch.__file__).parent)
    try:
        library = ctypes.CDLL(min(found, key=lambda path: not path.startswith(home)))
    except (OSError, ValueError):  # not to be opened, or none there
        return None
    return library if hasattr(library, "GOMP_parallel") else None


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _pool_team(share: Any, job: int, threads: int) -> None:
    key = os.getpid(), threads - 1  # a forked child has none of its parent's threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="fallline")
    others = [_pools[key].submit(share.ctypes, job) for _ in range(threads - 1)]
    try:
        share.ctypes(job)
    finally:
        # the addresses in the table must outlive every part, even when this thread is interrupted
        wait(others)
