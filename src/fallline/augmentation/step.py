"""What a step is, and steps made of steps."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from ..errors import InputError
from ..layers.check import number

__all__ = ["Compose", "Standardized"]


class Step(Protocol):
    """A training batch, changed."""

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """As many examples as were given."""


class Data(Protocol):
    """What is known of the data that are to be augmented; None where it is not."""

    @property
    def x(self) -> Tensor | None:
        """Inputs like those of training."""

    @property
    def classes(self) -> int | None:
        """How many classes labels have."""


def fitted(step: Any, data: Data) -> Any:
    """The step with what it needs to know of the data, where it says so by a method `fitted(data)`."""
    return step.fitted(data) if callable(getattr(type(step), "fitted", None)) else step


class Compose:
    """Steps one after another. Raises `InputError` for what is no function."""

    def __init__(self, *steps: Step) -> None:
        for step in steps:
            if not callable(step):
                raise InputError(f"Compose needs functions of (x, y); it was given {step!r}.")
        self.steps = steps

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        for step in self.steps:
            x, y = step(x, y)
        return x, y

    def fitted(self, data: Data) -> Self:
        """With steps that know what they need to know of the data."""
        other = copy.copy(self)
        other.steps = tuple(fitted(step, data) for step in self.steps)
        return other

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
        mean, std = self._numbers_for(x)
        x, y = super().__call__(self.before(x), y)
        return (x - mean) / std, y

    def fitted(self, data: Data) -> Self:
        """With steps that know what they need to know of pictures as they were."""
        return super().fitted(_Before(data, self))

    def before(self, x: Tensor) -> Tensor:
        """Pictures as they were before they were standardized."""
        mean, std = self._numbers_for(pictures("Standardized", x))
        return (x * std + mean).clamp(0, 1)

    def _numbers_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device).view(-1, 1, 1) for v in (self.mean, self.std))
        return mean, std

    def __repr__(self) -> str:
        return f"Standardized({', '.join(map(repr, self.steps))}, mean={self.mean}, std={self.std})"


class _Before:
    """What is known of pictures as they were before they were standardized."""

    def __init__(self, data: Data, how: Standardized) -> None:
        self._data, self._how = data, how

    @property
    def classes(self) -> int | None:
        return self._data.classes

    @property
    def x(self) -> Tensor | None:
        x = self._data.x
        return None if x is None else self._how.before(x)


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
