"""The random numbers of stochastic rounding: the same in every run, on every number of threads.

What is drawn for an element depends on a seed, the step, the parameter's place in its optimizer, which of its arrays is
rounded, and the element. A block of elements has a random word; from element to element the golden ratio is added,
which is as even as can be: every element's number is uniform, and a block's numbers are spread evenly.

Numba compiles `mix` for kernels (`codes.py`); here it runs on NumPy's arrays of uint64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
"""Elements that share a random word and, in eight bits, a scale."""

GOLDEN = 0x9E3779B1
"""2**32 over the golden ratio."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


def mix(k: Any, value: Any) -> Any:
    """64 bits that look random, of such bits and a number (Steele et al. 2014, SplitMix: its step and finalizer)."""
    k = (k ^ value) + _STEP
    k = (k ^ (k >> _30)) * _FIRST
    k = (k ^ (k >> _27)) * _SECOND
    return k ^ (k >> _31)


@dataclass(frozen=True)
class Draw:
    """The numbers drawn for one array at one step."""

    seed: float
    t: float
    place: int
    array: int
    """0 for the parameter, then its rule's states from 1 on."""

    def __call__(self, count: int, device: torch.device | str = "cpu") -> Tensor:
        """Numbers of 32 bits, (count,) int64, for elements as they lie in memory."""
        k = np.zeros(1, np.uint64)
        for part in (self.seed, self.t, self.place, self.array):
            k = mix(k, np.uint64(part))
        words = mix(k, np.arange(-(-count // BLOCK), dtype=np.uint64)) >> _32
        spread = torch.from_numpy(words.astype(np.int64)).to(device).repeat_interleave(BLOCK)[:count]
        return (spread + torch.arange(count, device=device) % BLOCK * GOLDEN) & 0xFFFFFFFF


def nearest(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Numbers with which values are rounded to the nearest, upwards from half way."""
    return torch.full((count,), 1 << 31, dtype=torch.int64, device=device)
