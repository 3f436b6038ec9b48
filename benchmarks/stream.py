"""The yardstick: a plain kernel, written by hand, that streams flat arrays and computes one addition for each.

It runs on PyTorch's threads, as the optimizers do (another team would wait for those to stop spinning), and reads
memory as kernels do (arrays that may overlap would not be vectorized). It knows no table, no tensors and no plan.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import carray, cfunc, int64

from fallline.kernels.memory import array, pointer, take
from fallline.kernels.threads import team

_PART = 1 << 11

_TEXT = """
@cfunc("void(int64)", error_model="numpy")
def share(job):
    facts = carray(pointer(job), ({facts},), int64)
    step, length, source = facts[1], facts[2], facts[3]
    {targets}
    begin = take(job, step)
    while begin < length:
        for i in range(begin, min(begin + step, length)):
            x = load(source, i)
            {sums}
        begin = take(job, step)
"""


@lru_cache(maxsize=None)
def _share(written: int) -> Any:
    arrays = [array("float32", k, written + 1) for k in range(written + 1)]
    scope: dict[str, Any] = {"carray": carray, "cfunc": cfunc, "int64": int64, "pointer": pointer, "take": take}
    scope |= {"load": arrays[0][0]}
    for k, (load, store) in enumerate(arrays[1:]):
        scope |= {f"load{k}": load, f"store{k}": store}
    targets = [f"t{k} = facts[{4 + k}]" for k in range(written)]
    sums = [f"store{k}(t{k}, i, load{k}(t{k}, i) + x)" for k in range(written)]
    text = _TEXT.format(facts=4 + written, targets="\n    ".join(targets), sums="\n            ".join(sums))
    exec(text, scope)
    return scope["share"]


class Stream:
    """Adds one array to `written` others, all of `length` float32: written + 1 arrays read, `written` written."""

    def __init__(self, length: int, written: int) -> None:
        # PyTorch's memory, as the optimizers have it: NumPy asks for larger pages
        self.tensors = [torch.zeros(length) for _ in range(written + 1)]
        self.length = length
        self.share = _share(written)

    def __call__(self) -> None:
        threads = torch.get_num_threads()
        part = max(_PART, self.length // (threads * 16) // _PART * _PART)
        job = np.array([0, part, self.length, *(t.data_ptr() for t in self.tensors)], np.int64)
        team()(self.share, job.ctypes.data, threads)
