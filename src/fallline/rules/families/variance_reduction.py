"""MARS: variance reduction by the change of the gradient since the last step, in front of an adaptive rule."""

from __future__ import annotations

from typing import Annotated

from ..hyper import Beta1, Beta2, Epsilon, Rate, SignRate, at_least, log
from ..ops import maximum
from ..rule import rule

Correction = Annotated[float, at_least(0), log(1e-3, 1e-1)]


def _corrected(g, g_prev, gamma, beta1):
    """The gradient and a share of its change, no longer than one in each tensor."""
    c = g + gamma * beta1 / (1 - beta1) * (g - g_prev)
    return c / maximum(c.norm(), 1.0)


@rule(
    paper="Yuan et al. 2024, arXiv:2411.10438, Algorithm 2 in its approximate form, from a gradient of zero",
    title="MARS",
)
def mars(
    p,
    g,
    m,
    v,
    g_prev,
    *,
    t,
    lr: Rate = 3e-3,
    beta1: Beta1 = 0.95,
    beta2: Beta2 = 0.99,
    eps: Epsilon = 1e-8,
    gamma: Correction = 0.025,
):
    """Adam on gradients of reduced variance."""
    c = _corrected(g, g_prev, gamma, beta1)
    m = beta1 * m + (1 - beta1) * c
    v = beta2 * v + (1 - beta2) * c**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (v_hat.sqrt() + eps), m, v, g


@rule(
    paper="Yuan et al. 2024, arXiv:2411.10438, Algorithm 3 in its approximate form, from a gradient of zero",
    title="MARSLion",
)
def mars_lion(p, g, m, g_prev, *, t, lr: SignRate = 3e-4, beta1: Beta1 = 0.95, gamma: Correction = 0.025):
    """The sign of an average of gradients of reduced variance."""
    m = beta1 * m + (1 - beta1) * _corrected(g, g_prev, gamma, beta1)
    return p - lr * m.sign(), m, g
