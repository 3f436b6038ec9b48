"""What a step is, and steps made of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..errors import InputError
from ..layers.check import number

__all__ = ["Compose", "Standardized"]


class Step(Protocol):
    """A training batch, changed."""

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """As many examples as were given."""


class Compose:
    """Steps one after another."""

    def __init__(self, *steps: Step) -> None:
        for step in steps:
            if not callable(step):
                raise InputError(f"Compose needs functions of (x, y); it was given {step!r}.")
        self.steps = steps

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        for step in self.steps:
            x, y = step(x, y)
        return x, y

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.steps))})"


class Standardized(Compose):
    """Steps over pictures as they were before they were standardized, for colours want pixels from 0 to 1.

    `mean` and `std` are what was subtracted and divided by, one number or one for each channel. Raises `InputError` for
    lengths that differ, and for a spread that is not above 0.
    """

    def __init__(self, *steps: Step, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__(*steps)
        self.mean, self.std = _numbers(mean), _numbers(std)
        if len(self.mean) != len(self.std):
            raise InputError(f"mean and std must be of one length; they have {len(self.mean)} and {len(self.std)}.")
        for value in self.std:
            number("std", value, above=True)

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x = pictures("Standardized", x)
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device).view(-1, 1, 1) for v in (self.mean, self.std))
        x, y = super().__call__((x * std + mean).clamp(0, 1), y)
        return (x - mean) / std, y

    def __repr__(self) -> str:
        return f"Standardized({', '.join(map(repr, self.steps))}, mean={self.mean}, std={self.std})"


def pictures(step: str, x: Tensor, channels: int | None = None) -> Tensor:
    """The batch. Raises `InputError` unless it holds pictures of floating point, with so many channels."""
    if x.dim() != 4 or not x.is_floating_point() or (channels is not None and x.shape[1] != channels):
        kind = "" if channels is None else f" of {channels} channels"
        raise InputError(
            f"{step} needs pictures{kind}, (n, channels, height, width) of floating point; x has shape "
            f"{tuple(x.shape)} and type {str(x.dtype).removeprefix('torch.')}."
        )
    return x


def _numbers(values: float | Sequence[float]) -> tuple[float, ...]:
    return (float(values),) if isinstance(values, int | float) else tuple(float(value) for value in values)
