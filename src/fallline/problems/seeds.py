"""Random numbers that depend on a seed alone, and leave the caller's as they were."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ..errors import InputError


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2**63) for one purpose of a trial (the data order of epoch 3, say)."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int) -> torch.Generator:
    """A fresh PyTorch generator on the CPU with that seed."""
    return torch.Generator().manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start the global generators of PyTorch, NumPy and Python from the seed; afterwards they are as before.

    Raises `InputError` for a seed that PyTorch cannot hold.
    """
    if not -(2**63) <= seed < 2**64:
        raise InputError(f"seed={seed} is not allowed; allowed are whole numbers from -2**63 to 2**64 - 1.")
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    on_cuda: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = torch.cuda.get_rng_state_all() if on_cuda else None
    # not torch.manual_seed: it formats the call stack for CUDA's sake, ten times the cost of all the rest
    torch.default_generator.manual_seed(seed)
    if devices is not None:
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)
