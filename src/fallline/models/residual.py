"""ResNet-20 to -110 for small pictures, with and without skip connections, and with stochastic depth."""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..layers.check import one_of, share, whole
from ..layers.depth import StochasticDepth

__all__ = ["Residual", "resnet"]


def resnet(
    depth: int = 20,
    classes: int = 10,
    channels: int = 3,
    width: int = 16,
    skip: bool = True,
    stochastic_depth: float = 0.0,
    shortcut: str = "A",
) -> nn.Sequential:
    """The ResNet for small pictures of `depth` = 6n + 2 layers: (n, channels, height, width) -> (n, classes).

    A convolution, then three stages of n blocks of two convolutions, of `width`, 2 `width` and 4 `width` channels on
    pictures of full, half and quarter size, then the mean over each picture and a linear layer. `shortcut` "A" (without
    parameters: the paper's choice here) or "B" (a 1x1 convolution) is used where the size changes. `skip=False` is the
    same network without skip connections. ResNet-20 has 269,722 parameters, ResNet-56 853,018, ResNet-110 1,727,962.

    `stochastic_depth` is the rate at which the last block is left out in training; it rises linearly from the first
    (see `layers.StochasticDepth`). Raises `InputError` for a depth that is not 6n + 2, for stochastic depth with
    `skip=False`, and for other arguments that are not allowed.

    Sources: He et al. 2016, arXiv:1512.03385, section 4.2 (initial weights: He et al. 2015, arXiv:1502.01852, equation
    10); Huang et al. 2016, arXiv:1603.09382, equation 4.
    """
    depth = whole("depth", depth, 8)
    if depth % 6 != 2:
        near = depth - (depth - 2) % 6
        raise InputError(f"depth must be 6n + 2, such as {near} or {near + 6}; it is {depth}.")
    rate = share("stochastic_depth", stochastic_depth)
    if rate and not skip:
        raise InputError("stochastic_depth leaves out residual branches; skip=False has none. Set one of them.")
    width, blocks = whole("width", width), depth // 6
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(_convolution(whole("channels", channels), width, 3), nn.BatchNorm2d(width), nn.ReLU())
    inputs, block = width, 0
    for stage in range(3):
        outputs, series = width << stage, nn.Sequential()
        for k in range(blocks):
            block += 1
            stride = 2 if stage and k == 0 else 1
            series.append(Residual(inputs, outputs, stride, shortcut if skip else None, rate * block / (3 * blocks)))
            inputs = outputs
        parts[f"stage{stage + 1}"] = series
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    parts["head"] = nn.Linear(inputs, whole("classes", classes))
    return nn.Sequential(parts)


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm around which the input skips: (n, in, h, w) -> (n, out, h/stride, w/stride).

    `shortcut` is "A", "B" (He et al. 2016, section 3.3) or None for no skip connection. The branch is left out at the
    `rate` of `layers.StochasticDepth`. Raises `InputError` for another shortcut, for one to fewer channels, for a rate
    without one (nothing would be left), and for counts below 1. Source: He et al. 2016, equations 1 and 2, figure 2.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, shortcut: str | None = "A", rate: float = 0.0
    ) -> None:
        super().__init__()
        inputs, outputs, stride = whole("inputs", inputs), whole("outputs", outputs), whole("stride", stride)
        if share("rate", rate) and shortcut is None:
            raise InputError("rate leaves out residual branches; shortcut=None has none. Set one of them.")
        self.conv1, self.norm1 = _convolution(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = _convolution(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut = None if shortcut is None else _shortcut(inputs, outputs, stride, shortcut)
        self.drop = StochasticDepth(rate) if rate else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.drop is not None:
            y = self.drop(y)
        return F.relu(y if self.shortcut is None else self.shortcut(x) + y)


class _Padded(nn.Module):
    """Option A: every `stride`-th pixel, with channels of zeros added."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


def _shortcut(inputs: int, outputs: int, stride: int, option: str) -> nn.Module:
    option = one_of("shortcut", option, ("A", "B"))
    if outputs < inputs:
        raise InputError(f"a shortcut leads to as many channels or more; it was given {inputs} and {outputs}.")
    if inputs == outputs and stride == 1:
        return nn.Identity()
    if option == "A":
        return _Padded(outputs - inputs, stride)
    return nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer
