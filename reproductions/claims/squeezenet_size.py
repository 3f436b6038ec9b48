"""SqueezeNet's size beside AlexNet's."""

from __future__ import annotations

from torch import nn

from fallline import models

from ..claim import Source, claim
from ..finding import Finding, Range, exactly
from ..lab import Lab


@claim(
    number=2,
    title="SqueezeNet has about 50 times fewer parameters than AlexNet (at its accuracy, which is not measured here)",
    paper="Iandola et al. 2016, SqueezeNet, arXiv:1602.07360, section 4.2",
    figures="50 times fewer parameters",
    source=Source.ABSTRACT,
    smoke={},
)
def squeezenet_size(lab: Lab) -> list[Finding]:
    """Both networks at 1,000 classes are built and their parameters counted; SqueezeNet 1.0 with base_e = incr_e = 128,
    pct3x3 = 0.5, freq = 2, SR = 0.125. The other half of the claim, their accuracy on
    ImageNet (57.5 / 80.3 % top-1/5, from memory), is not measured."""
    squeezenet, alexnet = _parameters(models.squeezenet("1.0")), _parameters(models.alexnet())
    return [
        exactly("parameters of SqueezeNet 1.0", squeezenet),
        exactly("parameters of AlexNet", alexnet),
        exactly("AlexNet's over SqueezeNet's", alexnet / squeezenet, Range(45, 55), "times"),
        exactly("bytes of SqueezeNet 1.0 in float32", 4 * squeezenet),
    ]


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
