"""Memory for large tensors, taken from the system once.

A stack's tensors are as many times larger as there are trials. The C library of Linux (glibc) hands every block above
32 MiB back to the system when it is freed, and gets the next one page by page, zeroed: for a small convolution that
took three times as long as the arithmetic. So blocks of up to 1 GiB are kept for the next step instead.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 30


@lru_cache(maxsize=None)
def keep() -> bool:
    """Have this process keep freed memory, unless the user has `MALLOC_...` settings; returns whether it will."""
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEPT)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
