"""Flips and crops, by kornia."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..layers.check import number, one_of, whole
from .by_kornia import run
from .named import step
from .step import pictures

__all__ = ["Flip", "RandomCrop", "RandomScaledCrop"]


@step("flip")
@dataclass(frozen=True)
class Flip:
    """Pictures are flipped left to right with probability `horizontal`, upside down with probability `vertical`.

    x (n, channels, height, width). Raises `InputError` for what are no probabilities, and for what are no pictures.
    """

    horizontal: float = 0.5
    vertical: float = 0.0

    def __post_init__(self) -> None:
        for name in ("horizontal", "vertical"):
            if not number(name, getattr(self, name)) <= 1:
                raise InputError(f"{name} must be a probability from 0 to 1; it is {getattr(self, name)!r}.")

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x = pictures("Flip", x)
        for name, p in (("RandomHorizontalFlip", self.horizontal), ("RandomVerticalFlip", self.vertical)):
            if p:
                x = run(x, name, p=p)
        return x, y


@step("crop")
@dataclass(frozen=True)
class RandomCrop:
    """Pictures are padded by `padding` pixels and cut back to their size, or to `size` (height, width), at random.

    `mode` says what they are padded with: "constant" (`fill`), "reflect" or "replicate". Four pixels of zeros are He et
    al. 2016, arXiv:1512.03385, section 4.2. Raises `InputError` for arguments that are not allowed, for what are no
    pictures, and for pictures too small for `size` or `padding`.
    """

    padding: int = 4
    size: tuple[int, int] | None = None
    mode: str = "constant"
    fill: float = 0.0

    def __post_init__(self) -> None:
        whole("padding", self.padding, 0)
        one_of("mode", self.mode, ("constant", "reflect", "replicate"))
        number("fill", self.fill, float("-inf"))
        _check_size(self.size)

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        height, width = pictures("RandomCrop", x).shape[-2:]
        size = self.size or (height, width)
        if size[0] > height + 2 * self.padding or size[1] > width + 2 * self.padding:
            raise InputError(f"RandomCrop cannot cut {size} out of {(height, width)} with padding={self.padding}.")
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise InputError(f"RandomCrop cannot reflect {self.padding} pixels of pictures of {(height, width)}.")
        made: dict[str, Any] = {"padding": self.padding, "padding_mode": self.mode, "fill": self.fill}
        return run(x, "RandomCrop", size=size, **made), y


@step("scaled_crop")
@dataclass(frozen=True)
class RandomScaledCrop:
    """A part of each picture, of a share of its area and a ratio of its sides within bounds, scaled to its size.

    Or to `size` (height, width). Raises `InputError` for bounds that are none, and for what are no pictures. Source:
    Szegedy et al. 2015, arXiv:1409.4842, section 6.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name, most in (("scale", 1.0), ("ratio", float("inf"))):
            low, high = _pair(name, getattr(self, name))
            if not 0 < low <= high <= most:
                raise InputError(f"{name} must be two numbers above 0, the lower one first; it is {(low, high)}.")
        _check_size(self.size)

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        size = self.size or tuple(pictures("RandomScaledCrop", x).shape[-2:])
        return run(x, "RandomResizedCrop", size=size, scale=self.scale, ratio=self.ratio), y


def _check_size(size: tuple[int, int] | None) -> None:
    if size is not None:
        _pair("size", size)
        for side in size:
            whole("size", side)


def _pair(name: str, values: Any) -> tuple[float, float]:
    """Two numbers. Raises `InputError` for anything else."""
    if not isinstance(values, tuple | list) or len(values) != 2:
        raise InputError(f"{name} must be two numbers; it is {values!r}.")
    return number(name, values[0]), number(name, values[1])
