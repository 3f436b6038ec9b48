"""Mixed precision: operations in half precision where PyTorch says that it is safe, weights in single precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ..errors import InputError, unknown

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Name -> the type that `torch.autocast` computes in; single precision needs none."""


class Precision:
    """How a run computes: `with precision:` around forward passes, and, for fp16, losses scaled against underflow.

    Raises `InputError` for a name that is not in `TYPES`, or a device that has no such type.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name not in TYPES:
            raise unknown("precision", str(name), TYPES)
        self._type, self._device = TYPES[name], device.type
        self.scaler: torch.amp.GradScaler | None = None
        if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise InputError(
                "precision='bf16' is not allowed: this GPU does not compute in bfloat16; use fp16 or fp32."
            )
        if name == "fp16":
            self.scaler = torch.amp.GradScaler(device.type)

    def context(self) -> AbstractContextManager[Any]:
        """Around forward passes."""
        if self._type is torch.float32:
            return nullcontext()
        return torch.autocast(self._device, self._type)

    def state(self) -> dict[str, float]:
        """What a checkpoint needs to hold."""
        return dict(self.scaler.state_dict()) if self.scaler is not None else {}

    def load(self, state: dict[str, float]) -> None:
        """Go on from such a state."""
        if self.scaler is not None:
            self.scaler.load_state_dict(state)
