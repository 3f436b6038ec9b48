"""What is sent to a device, and what becomes of it in a CUDA graph.

While a step is captured nothing is done, and everything is done at every replay: what the graph reads must stay where
it is, what it sends is not there yet for a step outside of it, and what is done once must not be in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError


class Sender:
    """Sends to a device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._kept: dict[int, Tensor] = {}

    def current(self) -> AbstractContextManager[object]:
        """Have the device be the one where Triton launches."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else contextlib.nullcontext()

    def keep(self, tensors: Iterable[Tensor]) -> None:
        """Keep the memory of tensors for good where a graph is to use it."""
        if is_captured(self.device):
            self._kept.update((id(tensor), tensor) for tensor in tensors)

    def sent(self, array: np.ndarray) -> Tensor:
        """A copy on the device."""
        host = torch.from_numpy(array.copy())
        there = torch.empty(host.shape, dtype=host.dtype, device=self.device)
        if is_captured(self.device):
            self._kept[id(host)] = host  # no memory can be locked now; the graph reads this at every replay
        elif self.device.type == "cuda":
            host = host.pin_memory()
        return there.copy_(host, non_blocking=True)


def is_captured(device: torch.device) -> bool:
    """Whether what is given to a device is not done now, but captured in a CUDA graph."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()


def refuse_capture(device: torch.device) -> None:
    """Raises `InputError` where a CUDA graph captures what is done once, before the first of several steps."""
    if is_captured(device):
        raise InputError(
            "the CUDA graph would begin anew at every replay: it captures an optimizer's step that does not follow "
            "another one of the same parameters. Take a step before the capture."
        )
