"""SqueezeNet 1.0 and 1.1: Fire modules and the metaparameters that shape them."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..layers.check import number, one_of, share, whole

__all__ = ["Fire", "squeezenet"]


class _Version(NamedTuple):
    filters: int
    kernel: int
    """Of the first convolution."""
    pooled: tuple[int, ...]
    """Fire modules after which pictures are halved."""


_VERSIONS = {"1.0": _Version(96, 7, (4, 8)), "1.1": _Version(64, 3, (3, 5))}
_FIRST, _LAST = 2, 9
_BYPASSES = ("none", "simple", "complex")


def squeezenet(
    version: str = "1.0",
    classes: int = 1000,
    channels: int = 3,
    *,
    stem: str = "large",
    base_e: int = 128,
    incr_e: int = 128,
    pct3x3: float = 0.5,
    freq: int = 2,
    SR: float = 0.125,
    bypass: str = "none",
    dropout: float = 0.5,
    batch_norm: bool = False,
) -> nn.Sequential:
    """A convolution, the Fire modules 2 to 9, a 1x1 convolution to classes: (n, channels, h, w) -> (n, classes).

    Fire module i has e_i = base_e + incr_e * floor((i - 2) / freq) expand filters, of which the share `pct3x3` is 3x3
    and the rest 1x1, behind SR * e_i squeeze filters. `bypass="simple"` adds the input where a Fire module keeps the
    number of channels (3, 5, 7 and 9), `bypass="complex"` elsewhere too, through a 1x1 convolution. Version "1.1" has a
    smaller first convolution and halves pictures earlier. At 1,000 classes "1.0" has 1,248,424 parameters, "1.1"
    1,235,496.

    `stem="large"` is the paper's network, for pictures of 224x224 and many classes. `stem="small"`, for pictures from
    16x16 to 64x64 and few classes, departs from it at both ends: the first convolution is 3x3 without a stride, and
    there is no ReLU after the last, which can set the scores of all of a few classes to 0, where nothing learns.
    `batch_norm` (in no version of the paper) normalizes after every convolution but the last: it learns much sooner.

    Source: Iandola et al. 2016, arXiv:1602.07360, table 1, figure 2 and section 5.1; version 1.1 is the authors'
    published revision of the network. Initial weights: He et al. 2015, arXiv:1502.01852; of the last convolution,
    normal with standard deviation 0.01. Raises `InputError` for arguments that are not allowed.
    """
    plan = _VERSIONS[one_of("version", version, _VERSIONS)]
    stem, bypass = one_of("stem", stem, ("large", "small")), one_of("bypass", bypass, _BYPASSES)
    base_e, incr_e, freq = whole("base_e", base_e), whole("incr_e", incr_e, 0), whole("freq", freq)
    if not 0 <= number("pct3x3", pct3x3) <= 1:
        raise InputError(f"pct3x3 must be a share from 0 to 1; it is {pct3x3!r}.")
    number("SR", SR, above=True)
    channels, classes, small = whole("channels", channels), whole("classes", classes), stem == "small"
    kernel, stride, padding = (3, 1, 1) if small else (plan.kernel, 2, 0)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv1"] = _convolution(channels, plan.filters, kernel, stride, padding, batch_norm)
    parts |= {"relu1": nn.ReLU(), "pool1": _pool()}
    inputs = plan.filters
    for i in range(_FIRST, _LAST + 1):
        expand = base_e + incr_e * ((i - _FIRST) // freq)
        of_3x3 = round(pct3x3 * expand)
        parts[f"fire{i}"] = Fire(inputs, max(1, round(SR * expand)), expand - of_3x3, of_3x3, bypass, batch_norm)
        inputs = expand
        if i in plan.pooled:
            parts[f"pool{i}"] = _pool()
    parts |= {"dropout": nn.Dropout(share("dropout", dropout)), "conv10": nn.Conv2d(inputs, classes, 1)}
    parts |= {"pool10": nn.AdaptiveAvgPool2d(1)} if small else {"relu10": nn.ReLU(), "pool10": nn.AdaptiveAvgPool2d(1)}
    parts["flatten"] = nn.Flatten()
    return _initialized(nn.Sequential(parts))


class Fire(nn.Module):
    """1x1 squeeze filters, then 1x1 and 3x3 expand filters side by side: (n, in, h, w) -> (n, expand1 + expand3, h, w).

    `bypass` is "none", "simple" (the input is added where it has as many channels) or "complex" (elsewhere too, through
    a 1x1 convolution). Raises `InputError` for another one, and for counts of filters that are none. Source: Iandola et
    al. 2016, arXiv:1602.07360, figures 1 and 2.
    """

    def __init__(
        self, inputs: int, squeeze: int, expand1: int, expand3: int, bypass: str = "none", batch_norm: bool = False
    ) -> None:
        super().__init__()
        bypass = one_of("bypass", bypass, _BYPASSES)
        inputs, squeeze = whole("inputs", inputs), whole("squeeze", squeeze)
        expand1, expand3 = whole("expand1", expand1, 0), whole("expand3", expand3, 0)
        whole("expand1 + expand3", expand1 + expand3)
        self.squeeze = _convolution(inputs, squeeze, 1, batch_norm=batch_norm)
        # a share of 0 or 1 of 3x3 filters leaves one of the two kinds out
        self.expand1 = _convolution(squeeze, expand1, 1, batch_norm=batch_norm) if expand1 else None
        self.expand3 = _convolution(squeeze, expand3, 3, padding=1, batch_norm=batch_norm) if expand3 else None
        self.bypass: nn.Module | None = None
        if bypass != "none" and inputs == expand1 + expand3:
            self.bypass = nn.Identity()
        elif bypass == "complex":
            self.bypass = _convolution(inputs, expand1 + expand3, 1, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.relu(self.squeeze(x))
        kinds = [F.relu(expand(squeezed)) for expand in (self.expand1, self.expand3) if expand is not None]
        y = torch.cat(kinds, 1)
        return y if self.bypass is None else y + self.bypass(x)


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, batch_norm: bool = False
) -> nn.Module:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=not batch_norm)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs)) if batch_norm else layer


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def _initialized(model: nn.Sequential) -> nn.Sequential:
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            if name == "conv10":
                nn.init.normal_(layer.weight, std=0.01)
            else:
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
