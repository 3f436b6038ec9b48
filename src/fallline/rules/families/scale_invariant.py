"""Rules that leave the norm of scale-invariant weights alone.

Weights in front of a normalization layer have a direction only. Momentum lets their norm grow, which lowers the
effective rate; these rules take the radial part out of the step where the gradient shows that weights are of the kind.
"""

from __future__ import annotations

from typing import Annotated

from ..hyper import Beta1, Beta2, Epsilon, Fixed, Momentum, Rate, SgdRate, WeightDecay, between
from ..modifiers import decoupled
from ..ops import columns, maximum, numel, where
from ..rule import rule
from .adam import adam
from .descent import momentum as heavy_ball

Ratio = Annotated[float, between(0, 1)]


def _tangential(p, g, u, delta, eps):
    """The step `u` without its part along `p`, and whether it was taken out: row by row, or of the whole tensor.

    A scale-invariant weight is orthogonal to its gradient: their cosine is below `delta` times that of random vectors.
    """
    g_row, p_row = g.norm(dim=-1, keepdim=True), p.norm(dim=-1, keepdim=True)
    row_cosine = (g * p).sum(-1, keepdim=True).abs() / (maximum(g_row, eps) * maximum(p_row, eps))
    cosine = (g * p).sum().abs() / (maximum(g.norm(), eps) * maximum(p.norm(), eps))
    by_row = row_cosine.amax() < delta / columns(p) ** 0.5
    whole = cosine < delta / numel(p) ** 0.5
    r, q = p / (p_row + eps), p / (p.norm() + eps)
    u = where(by_row, u - r * (r * u).sum(-1, keepdim=True), where(whole, u - q * (q * u).sum(), u))
    return u, by_row | whole


@rule(paper="Heo et al. 2021, arXiv:2006.08217, Algorithm 1", title="SGDP", otherwise=decoupled(heavy_ball), flat=True)
def sgdp(
    p,
    g,
    v,
    *,
    t,
    lr: SgdRate = 1e-3,
    momentum: Momentum = 0.9,
    weight_decay: WeightDecay = 0.0,
    delta: Fixed = 0.1,
    wd_ratio: Ratio = 0.1,
    eps: Epsilon = 1e-8,
):
    """Heavy ball without the radial part of its step on scale-invariant weights, which decay by `wd_ratio` as much."""
    v = momentum * v + g
    u, invariant = _tangential(p, g, v, delta, eps)
    p = where(invariant, p * (1 - lr * weight_decay * wd_ratio), p * (1 - lr * weight_decay))
    return p - lr * u, v


@rule(paper="Heo et al. 2021, arXiv:2006.08217, Algorithm 2", title="AdamP", otherwise=decoupled(adam), flat=True)
def adamp(
    p,
    g,
    m,
    v,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    delta: Fixed = 0.1,
    wd_ratio: Ratio = 0.1,
):
    """Adam without the radial part of its step on scale-invariant weights, which decay by `wd_ratio` as much."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    u, invariant = _tangential(p, g, m_hat / (v_hat.sqrt() + eps), delta, eps)
    p = where(invariant, p * (1 - lr * weight_decay * wd_ratio), p * (1 - lr * weight_decay))
    return p - lr * u, m, v
