"""Rules that divide by an estimate of the Hessian's diagonal, which the optimizer makes (`optim/curvature.py`)."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Count, Epsilon, at_least, log
from ..ops import maximum, when
from ..rule import exact, rule

SophiaRate = Annotated[float, at_least(0), log(1e-5, 1e-2)]
Clip = Annotated[float, at_least(0), log(1e-3, 1e-1)]


@rule(paper="Liu et al. 2023, arXiv:2305.14342, Algorithm 3 without its weight decay")
def sophia(
    p,
    g,
    m,
    h,
    hutchinson: Annotated[Any, exact],
    *,
    t,
    lr: SophiaRate = 6e-4,
    beta1: Beta1 = 0.96,
    beta2: Beta2 = 0.99,
    eps: Epsilon = 1e-12,
    gamma: Clip = 1e-2,
    every: Count = 10,
):
    """Momentum over an average of the Hessian's diagonal, clipped to one.

    `hutchinson` is the latest estimate of that diagonal, read at step 1 and every `every` steps from there on.
    """
    m = beta1 * m + (1 - beta1) * g
    h = when((t - 1) % every == 0, beta2 * h + (1 - beta2) * hutchinson, h)
    return p - lr * (m / maximum(gamma * h, eps)).clamp(-1, 1), m, h, hutchinson
