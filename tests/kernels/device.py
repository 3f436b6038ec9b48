"""Where Triton's kernels are tested: on a GPU if there is one, else in the host's memory, by Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fallline.kernels.gpu import capture, kernel

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda", 0) if GPU else torch.device("cpu")

by_triton = [
    pytest.mark.usefixtures("on_triton"),
    # lanes outside a tensor compute with anything
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter"),
]
"""Marks of tests whose tensors on `DEVICE` are stepped by Triton's kernels."""


@contextmanager
def captured() -> Iterator[Any]:
    """What is done in the block is captured in a CUDA graph, or in what stands in for one; both `replay()` it."""
    if GPU:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            yield graph
        return
    start = kernel.start
    with pytest.MonkeyPatch.context() as patched, Recorded() as recorded:
        patched.setattr(capture, "is_captured", lambda device: True)
        patched.setattr(kernel, "start", lambda *launch: recorded.calls.append(partial(start, *launch)))
        patched.setattr(Tensor, "tolist", waits)
        yield recorded


def waits(*_: Any) -> None:
    raise AssertionError("the host would wait for the device, which a CUDA graph cannot capture")


class Recorded(TorchDispatchMode):
    """Notes what is to be done to memory in place of doing it; where an operation makes new memory, it is made.

    As in a graph, what is computed meanwhile is not there before a replay.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], object]] = []

    def replay(self) -> None:
        for call in self.calls:
            call()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        call = partial(function, *args, **(kwargs or {}))
        if function is torch.ops.aten._local_scalar_dense.default:
            waits()
        if function._schema.is_mutable:
            self.calls.append(call)
            return (kwargs or {}).get("out", args[0]) if function._schema.returns else None
        made = call()
        if "empty" not in function.__name__ and _memory(made).isdisjoint(_memory(args)):
            for tensor in _tensors(made):
                tensor.fill_(7)
            self.calls.append(partial(_again, call, _tensors(made)))
        return made


def _again(call: Callable[[], Any], made: list[Tensor]) -> None:
    """Do an operation anew, into the memory of what it made before."""
    with torch.no_grad():
        for old, new in zip(made, _tensors(call()), strict=True):
            old.copy_(new)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tree: Any) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in _tensors(tree)}
