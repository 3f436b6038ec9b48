"""Random quadratics in ten dimensions, on which learned optimizers are compared with made ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..metric import Metric
from ..problem import Problem
from .registry import builtin

_DIMENSIONS = 10
_START = 0.01
"""Standard deviation of the point that the descent starts from."""


class Quadratic(nn.Module):
    """One random quadratic, drawn when it is made: the residual W theta - y, of which theta is trained.

    Andrychowicz et al. 2016, arXiv:1606.04474, section 3.1: W (10, 10) and y (10) have entries drawn from N(0, 1).
    """

    w: Tensor
    y: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.randn(_DIMENSIONS, _DIMENSIONS))
        self.register_buffer("y", torch.randn(_DIMENSIONS))
        self.theta = nn.Parameter(_START * torch.randn(_DIMENSIONS))

    def forward(self, x: Tensor) -> Tensor:
        """The residual (batch, 10), the same for every example: there is nothing to learn from but W and y."""
        return (self.w @ self.theta - self.y).expand(len(x), -1)


def squared_length(residual: Tensor, target: Tensor) -> Tensor:
    """The mean over examples of ||residual - target||^2; the quadratic itself where the target is 0."""
    return (residual - target).square().sum(1).mean()


@builtin
def quadratic() -> Problem:
    """Random quadratics ||W theta - y||^2 in 10 dimensions, another one for every seed: 100 steps, each an epoch.

    Andrychowicz et al. 2016, arXiv:1606.04474. W and y are drawn with the trial's seed: settings are searched on one
    function, and the winners are judged on fresh ones.
    """
    example = torch.zeros(1, 1), torch.zeros(1, _DIMENSIONS)
    return Problem(
        Quadratic,
        *(example, example, example),
        loss=squared_length,
        metric=Metric("loss", squared_length, maximize=False),
        batch_size=1,
        epochs=100,
        name="quadratic",
    )
