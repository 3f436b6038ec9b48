"""The yardstick: a plain kernel that streams as many arrays as a rule does and computes next to nothing."""

from __future__ import annotations

from typing import Any

import torch
from numba import njit, prange

_BLOCK = 2048  # elements of every array that a core handles at a time: they stay in its cache


@njit(parallel=True, fastmath=True)
def _add_to_all(source: Any, targets: Any) -> None:
    for block in prange((source.size + _BLOCK - 1) // _BLOCK):
        low, high = block * _BLOCK, min((block + 1) * _BLOCK, source.size)
        for target in targets:
            for i in range(low, high):
                target[i] += source[i]


@njit(parallel=True, fastmath=True)
def _add_to_one(source: Any, target: Any) -> None:
    for block in prange((source.size + _BLOCK - 1) // _BLOCK):
        for i in range(block * _BLOCK, min((block + 1) * _BLOCK, source.size)):
            target[i] += source[i]


class Stream:
    """Adds one array to `written` others, all of `length` float32: written + 1 arrays read, `written` written."""

    def __init__(self, length: int, written: int) -> None:
        # PyTorch's memory, as the optimizers have it: NumPy asks for larger pages and would be another machine
        self.tensors = [torch.zeros(length) for _ in range(written + 1)]
        self.arrays = [tensor.numpy() for tensor in self.tensors]

    def __call__(self) -> None:
        source, *targets = self.arrays
        if len(targets) == 1:
            _add_to_one(source, targets[0])
        else:
            _add_to_all(source, tuple(targets))
