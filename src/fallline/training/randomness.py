"""The global random generators as a value, so that training can stop and go on with the same draws."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..problems import seeded


@dataclass(frozen=True)
class Generators:
    """The states of PyTorch's, NumPy's and Python's generators."""

    torch: Tensor
    numpy: Any
    python: Any
    cuda: tuple[Tensor, ...] = ()

    @classmethod
    def now(cls) -> Generators:
        """As they are."""
        on_cuda: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = tuple(torch.cuda.get_rng_state_all()) if on_cuda else ()
        return cls(torch.get_rng_state(), np.random.get_state(), random.getstate(), cuda)  # noqa: NPY002

    def restore(self) -> None:
        """Make them so again."""
        torch.set_rng_state(self.torch)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))

    def tensors(self) -> dict[str, Tensor]:
        """As tensors, for a checkpoint."""
        _, keys, position, has_gauss, gauss = self.numpy
        _, words, next_gauss = self.python
        return {
            "torch": self.torch,
            "numpy": torch.from_numpy(keys.astype(np.int64)),
            "numpy_rest": torch.tensor([position, has_gauss, gauss], dtype=torch.float64),
            "python": torch.tensor(words, dtype=torch.int64),
            "python_gauss": torch.tensor([] if next_gauss is None else [next_gauss], dtype=torch.float64),
            **{f"cuda{k}": state for k, state in enumerate(self.cuda)},
        }

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Generators:
        """From what `tensors` gave."""
        position, has_gauss, gauss = tensors["numpy_rest"].tolist()
        keys = tensors["numpy"].numpy().astype(np.uint32)
        python = (3, tuple(tensors["python"].tolist()), next(iter(tensors["python_gauss"].tolist()), None))
        cuda = tuple(tensors[f"cuda{k}"] for k in range(sum(name.startswith("cuda") for name in tensors)))
        return cls(tensors["torch"], ("MT19937", keys, int(position), int(has_gauss), gauss), python, cuda)


@contextmanager
def drawing(start: int | Generators) -> Iterator[None]:
    """Draw from a seed, or from where another stretch left off; afterwards the generators are as before."""
    with seeded(start if isinstance(start, int) else 0):
        if isinstance(start, Generators):
            start.restore()
        yield
