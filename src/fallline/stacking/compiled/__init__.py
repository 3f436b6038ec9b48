"""Machine code for a stack on the CPU: trials are dealt out to threads, and each is done in the cache of its core.

Every other file here is the text of functions `name(job, trial, room)` that do one trial; such a function is compiled
for float32 or float64. A job is a list of whole numbers: sizes, and addresses of arrays, which are contiguous unless
their strides are given. `room` is the address of memory that the thread may use.

    compute("pooling.forward", trials, work, room, sizes, [x], [y, places])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, library

from ...kernels import cache
from ...kernels.threads import team

Run = Callable[..., None]

_NAMES = {torch.float32: "float32", torch.float64: "float64"}

_SHARE = """

@cfunc("void(int64)", error_model="numpy", cache=CACHE)
def share(at):
    _, trials, size = carray(pointer(at), (3,), int64)
    job = carray(pointer(at + 24), ({length},), int64)
    memory = np.empty(size, float32)
    trial = take(at, 1)
    while trial < trials:
        {function}(job, trial, int64(memory.ctypes.data))
        trial = take(at, 1)
    memory[:1] = 0  # it is in use until here
"""
_LENGTH = 30
"""Most numbers that a function takes."""
_SMALL = 1 << 14
"""Numbers to be computed below which waking another thread costs more than it saves."""


_off: ContextVar[bool] = ContextVar("off", default=False)


@contextmanager
def without_machine_code() -> Iterator[None]:
    """Inside, forms keep to PyTorch's operations, which can be traced."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)


def fits(*tensors: Tensor | None) -> bool:
    """Whether there is machine code for these tensors."""
    if _off.get():
        return False
    given = [tensor for tensor in tensors if tensor is not None]
    return all(t.device.type == "cpu" and t.dtype is given[0].dtype and t.dtype in _NAMES for t in given)


def compute(
    name: str,
    trials: int,
    work: int,
    room: int,
    numbers: Sequence[int],
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor | None],
) -> None:
    """Do "file.function" for every trial; its job is the numbers, then the addresses of inputs and outputs.

    `work` is about how many numbers are computed in all, `room` how many fit the memory that a thread is given. To
    PyTorch it is one operation that writes the outputs, so that whoever records what is done finds it.
    """
    last = outputs[-1]
    assert last is not None
    written = [last.new_empty(0) if out is None else out for out in outputs]  # its address is 0
    torch.ops.fallline.compute(name, [trials, work, room, *numbers], inputs, written)


def _compute(name: str, sizes: list[int], inputs: list[Tensor | None], outputs: list[Tensor]) -> None:
    file, function = name.split(".")
    addresses = [0 if t is None else t.data_ptr() for t in (*inputs, *outputs)]
    kernel(file, function, outputs[-1].dtype)(*sizes, *addresses)


_LIBRARY: Any = library.Library("fallline", "DEF")  # type: ignore[no-untyped-call]
_LIBRARY.define("compute(str name, int[] sizes, Tensor?[] inputs, Tensor(a!)[] outputs) -> ()")
_LIBRARY.impl("compute", _compute, "CPU")
_LIBRARY.impl("compute", lambda *_: None, "Meta")


def kernel(file: str, function: str, dtype: torch.dtype) -> Run:
    """`run(trials, work, room, *job)`: the function for every trial; a tensor in the job stands for its address."""
    return _kernel(file, function, _NAMES[dtype])


@lru_cache(maxsize=None)
def _kernel(file: str, function: str, dtype: str) -> Run:
    here = Path(__file__).parent
    parts = [(here / f"{part}.py").read_text(encoding="utf-8") for part in ("prelude", "product", file)]
    text = re.sub(r"^from (\.|__future__).*\n", "", "\n\n".join(parts), flags=re.MULTILINE)
    text = (text + _SHARE.format(length=_LENGTH, function=function)).replace("float32", dtype)
    share = cache.load(text, "share")
    alone, shared, threads = share.ctypes, team(), torch.get_num_threads

    def run(trials: int, work: int, room: int, *job: Any) -> None:
        numbers = [0, trials, room, *(n.data_ptr() if isinstance(n, Tensor) else n for n in job)]
        table = np.array(numbers + [0] * (3 + _LENGTH - len(numbers)), np.int64)
        count = min(threads(), trials)
        if count > 1 and work > _SMALL:
            shared(share, table.ctypes.data, count)
        else:
            alone(table.ctypes.data)

    return run
