"""The random numbers of stochastic rounding: the same in every run, on every number of threads.

What is drawn for an element depends on a seed, the step, the parameter's place in its optimizer, which of its arrays is
rounded, and the element. A block of elements has a random word; from element to element the golden ratio is added,
which is as even as can be: every element's number is uniform, and a block's numbers are spread evenly.

The words are mixed as the keys of a rule's own draws are (`rules/draws.py`); kernels do it in `codes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..rules.draws import mix, mixed

BLOCK = 256
"""Elements that share a random word and, in eight bits, a scale."""

GOLDEN = 0x9E3779B1
"""2**32 over the golden ratio."""

_32 = np.uint64(32)


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
        key = np.array([mixed(self.seed, self.t, self.place, self.array)], np.uint64)
        words = mix(key, np.arange(-(-count // BLOCK), dtype=np.uint64)) >> _32
        spread = torch.from_numpy(words.astype(np.int64)).to(device).repeat_interleave(BLOCK)[:count]
        return (spread + torch.arange(count, device=device) % BLOCK * GOLDEN) & 0xFFFFFFFF


def nearest(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Numbers with which values are rounded to the nearest, upwards from half way."""
    return torch.full((count,), 1 << 31, dtype=torch.int64, device=device)
