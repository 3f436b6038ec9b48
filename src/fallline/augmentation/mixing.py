"""Mixtures of examples: mixup and CutMix. Their targets are shares of classes, which `F.cross_entropy` takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..layers.check import number, whole
from .named import step
from .step import Data, pictures

__all__ = ["CutMix", "Mixup"]


@dataclass(frozen=True)
class _Mixture:
    """What mixtures have in common: how evenly they mix, and of how many classes targets become shares."""

    alpha: float
    classes: int | None = None

    def __post_init__(self) -> None:
        number("alpha", self.alpha, above=True)
        if self.classes is not None:
            whole("classes", self.classes, 2)

    def fitted(self, data: Data) -> Self:
        """With the number of classes."""
        return self if self.classes is not None else replace(self, classes=data.classes)


@step("mixup")
@dataclass(frozen=True)
class Mixup(_Mixture):
    """Every example is mixed with another of its batch, and so are their targets: x (n, *) of floating point.

    x = lam x_i + (1 - lam) x_j, y = lam y_i + (1 - lam) y_j, with one lam ~ Beta(alpha, alpha) a batch. Targets that
    are labels (n,) become shares of `classes`, (n, classes); targets of floating point are mixed as they are.

    A `Problem` with labels knows its `classes`. At test time nothing is mixed. Raises `InputError` for an `alpha` that
    is not above 0, for inputs that are no numbers of floating point, and for labels without `classes` or beyond them.
    Source: Zhang et al. 2018, arXiv:1710.09412, section 1 and figure 1.
    """

    alpha: float = 0.2

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if not x.is_floating_point():
            raise InputError(f"Mixup needs inputs of floating point; x has type {str(x.dtype).removeprefix('torch.')}.")
        y, lam, other = _soft(y, self.classes, "Mixup"), _beta(self.alpha), torch.randperm(len(x)).to(x.device)
        return lam * x + (1 - lam) * x[other], lam * y + (1 - lam) * y[other]


@step("cutmix")
@dataclass(frozen=True)
class CutMix(_Mixture):
    """A box of every picture is replaced by that of another of its batch: x (n, channels, height, width).

    The box has the share 1 - lam of the picture, lam ~ Beta(alpha, alpha) a batch, around a pixel drawn evenly; targets
    are mixed by the area that is left of it inside. Targets are as for `Mixup`.

    At test time nothing is mixed. Raises `InputError` for an `alpha` that is not above 0, for what are no pictures, and
    for labels without `classes` or beyond them. Source: Yun et al. 2019, arXiv:1905.04899, equations 1 and 2 and
    Algorithm A1.
    """

    alpha: float = 1.0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        n, _, height, width = pictures("CutMix", x).shape
        y, other = _soft(y, self.classes, "CutMix"), torch.randperm(n).to(x.device)
        rows, columns = _box(height, width, _beta(self.alpha))
        mixed = x.clone()
        mixed[:, :, rows, columns] = x[other][:, :, rows, columns]
        kept = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        return mixed, kept * y + (1 - kept) * y[other]


def _box(height: int, width: int, lam: float) -> tuple[slice, slice]:
    """The rows and columns of a box of the share 1 - lam around a pixel that is drawn, cut at the edges."""
    side = sqrt(1 - lam)
    cuts = []
    for size in (height, width):
        center, half = int(torch.randint(size, ())), int(size * side) / 2
        cuts.append(slice(max(0, int(center - half)), min(size, int(center + half))))
    return cuts[0], cuts[1]


def _beta(alpha: float) -> float:
    return float(torch.distributions.Beta(alpha, alpha).sample())


def _soft(y: Tensor, classes: int | None, step: str) -> Tensor:
    if y.is_floating_point():
        return y
    if classes is None or y.dim() != 1:
        what = "shape " + str(tuple(y.shape)) if y.dim() != 1 else "labels"
        raise InputError(f"{step} needs targets of floating point, or labels (n,) with classes=...; y has {what}.")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise InputError(f"{step} has classes={classes}; y has labels from {int(y.min())} to {int(y.max())}.")
    return F.one_hot(y.long(), classes).to(torch.get_default_dtype())
