"""Fractional max pooling with a test time of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .check import whole

__all__ = ["FractionalMaxPool2d", "average_over_regions"]

_GOLDEN = (5**0.5 - 1) / 2


class FractionalMaxPool2d(nn.FractionalMaxPool2d):
    """PyTorch's fractional max pooling, averaged over pooling regions at test time: (n, c, h, w) -> (n, c, h', w').

    In training it is `nn.FractionalMaxPool2d`: regions are drawn for every example and channel. PyTorch draws them at
    test time, too, so that the same picture is scored differently each time. Here the output is then the mean over
    `regions` fixed placements that cover all offsets evenly. The paper averages the predictions of several passes
    instead: `average_over_regions` does. Raises `InputError` unless one of size and ratio is given, within its bounds,
    and for fewer than one of `regions`.

    Source: Graham 2014, arXiv:1412.6071, section 2 (pseudorandom, overlapping regions).
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        output_size: int | tuple[int, int] | None = None,
        output_ratio: float | tuple[float, float] | None = None,
        *,
        regions: int = 4,
    ) -> None:
        try:
            super().__init__(kernel_size, output_size, output_ratio)
        except ValueError as error:
            raise InputError(f"FractionalMaxPool2d: {error}.") from error
        self.regions = whole("regions", regions)
        self.draws_at_test = False

    def forward(self, x: Tensor) -> Tensor:
        if self.training or self.draws_at_test:
            return self._pooled(x, torch.rand(*x.shape[:2], 2, dtype=x.dtype, device=x.device))
        offsets = torch.arange(self.regions, dtype=torch.float64)
        placements = torch.stack([(offsets + 0.5) / self.regions, ((offsets + 0.5) * _GOLDEN) % 1], -1)
        pooled = [self._pooled(x, place.to(x).expand(*x.shape[:2], 2)) for place in placements]
        return torch.stack(pooled).mean(0)

    def _pooled(self, x: Tensor, offsets: Tensor) -> Tensor:
        ratio = self.output_ratio if self.output_size is None else None
        y: Tensor = F.fractional_max_pool2d(
            x, self.kernel_size, self.output_size, ratio, _random_samples=offsets.contiguous()
        )
        return y

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, {self.output_size}, {self.output_ratio}, regions={self.regions}"


@torch.no_grad()
def average_over_regions(
    model: nn.Module, x: Tensor, passes: int = 12, of: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """The mean of the model's outputs for `x` over passes that draw other pooling regions each time.

    `of` is done to the outputs of every pass before (`torch.softmax` over classes, say). The model is evaluated: all
    else is as at test time. Raises `InputError` for a model without a `FractionalMaxPool2d` of `fallline.layers`.

    Source: Graham 2014, arXiv:1412.6071: its model averaging, twelve tests of each picture.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, FractionalMaxPool2d)]
    if not layers:
        raise InputError("the model has no fallline.layers.FractionalMaxPool2d whose regions could be drawn.")
    passes = whole("passes", passes)
    with _drawing(model, layers):
        outputs = [model(x) for _ in range(passes)]
    return torch.stack(outputs if of is None else [of(output) for output in outputs]).mean(0)


@contextmanager
def _drawing(model: nn.Module, layers: list[FractionalMaxPool2d]) -> Iterator[None]:
    trained = {module: module.training for module in model.modules()}
    model.eval()
    for layer in layers:
        layer.draws_at_test = True
    try:
        yield
    finally:
        for layer in layers:
            layer.draws_at_test = False
        for module, training in trained.items():
            module.training = training
