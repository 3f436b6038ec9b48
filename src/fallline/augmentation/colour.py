"""Colours: jitter by kornia, and an offset along the principal components of a data set's colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..layers.check import number
from .by_kornia import run
from .named import step
from .step import Data, Standardized, pictures

__all__ = ["ColorJitter", "ColorOffset"]


@step("color_jitter")
@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast, saturation and hue change at random, in random order: x (n, 3, height, width) from 0 to 1.

    The first three are multiplied by a number up to so much below or above 1; `hue`, up to 0.5, is a share of a full
    turn added to it. For standardized pictures see `Standardized`; a `Problem` whose pictures leave the range from 0 to
    1 brings them there meanwhile, by the least and the greatest value of each channel.

    Raises `InputError` for numbers out of their bounds, and for what are no pictures of three channels. Source: Howard
    2013, arXiv:1312.5402, section 2.2.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            number(name, getattr(self, name))
        if number("hue", self.hue) > 0.5:
            raise InputError(f"hue must be a number from 0 to 0.5; it is {self.hue!r}.")

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        jitter = (self.brightness, self.contrast, self.saturation, self.hue)
        named = dict(zip(("brightness", "contrast", "saturation", "hue"), jitter, strict=True))
        return run(pictures("ColorJitter", x, 3), "ColorJitter", p=1.0, **named), y

    def fitted(self, data: Data) -> Any:
        """Over pictures from 0 to 1, where the data are others."""
        x = data.x
        if x is None or x.dim() != 4 or not x.is_floating_point():
            return self  # which says so when it is given them
        low, high = x.amin((0, 2, 3)).double(), x.amax((0, 2, 3)).double()
        if low.min() >= 0 and high.max() <= 1:
            return self
        width = (high - low).where(high > low, 1)
        return Standardized(self, mean=(-low / width).tolist(), std=(1 / width).tolist())


@step("color_offset", "std")
@dataclass(frozen=True)
class ColorOffset:
    """All pixels of a picture are moved along the principal components of the data set's colours.

    By P (a * L), where P are the components and L their variances over all pixels, and a ~ N(0, std²) for each picture
    and component: x (n, channels, height, width). `ColorOffset.of(pictures)` finds P and L, and so does a `Problem` for
    one that has none. Raises `InputError` for numbers that do not fit together, and for what are no pictures of as many
    channels. Source: Krizhevsky, Sutskever & Hinton 2012, section 4.1.
    """

    components: tuple[tuple[float, ...], ...] = ()
    """P, a row for each channel."""
    variances: tuple[float, ...] = ()
    std: float = 0.1

    def __post_init__(self) -> None:
        number("std", self.std)
        side = len(self.variances)
        if len(self.components) != side or any(len(row) != side for row in self.components):
            raise InputError(f"components must have {side} rows of {side} numbers, as there are variances.")

    @classmethod
    def of(cls, x: Tensor, std: float = 0.1) -> ColorOffset:
        """For a data set of pictures (n, channels, height, width). Raises `InputError` for what are none."""
        pixels = pictures("ColorOffset", torch.as_tensor(x)).double().transpose(0, 1).flatten(1)
        variances, components = torch.linalg.eigh(torch.cov(pixels).reshape(len(pixels), -1))
        return cls(tuple(map(tuple, components.tolist())), tuple(variances.clamp_min(0).tolist()), std)

    def fitted(self, data: Data) -> ColorOffset:
        """With components and variances."""
        return self if self.variances or data.x is None else ColorOffset.of(data.x, self.std)

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if not self.variances:
            raise InputError("ColorOffset does not know the colours of the data; ColorOffset.of(pictures) finds them.")
        x = pictures("ColorOffset", x, len(self.variances))
        P, L = torch.tensor(self.components), torch.tensor(self.variances)
        offsets = (self.std * torch.randn(len(x), len(L)) * L) @ P.T
        return x + offsets.to(x)[:, :, None, None], y
