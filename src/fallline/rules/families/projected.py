"""Adam's moments of a projected gradient: of `rank` rows in place of the smaller side's."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Count, Epsilon, Fixed, Rate, Seed
from ..matrices import as_wide, leading, lifted, projected, projection, wide
from ..modifiers import decoupled
from ..ops import minimum, when, where
from ..rule import rule, shaped
from .adam import adam
from .muon import VOCABULARY

Moment = Annotated[Any, shaped("rank", "larger")]
Basis = Annotated[Any, shaped("smaller", "rank")]
Norm = Annotated[Any, shaped(1, 1)]


@rule(otherwise=adam, flat=True, largest=VOCABULARY)
def _galore(
    p,
    g,
    m: Moment,
    v: Moment,
    q: Basis,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: Fixed = 0.25,
):
    """Adam of the gradient's coordinates in the leading singular vectors of a gradient some steps ago."""
    q = when((t - 1) % update_proj_gap == 0, leading(wide(g), q), q)
    r = projected(q, g)
    m = beta1 * m + (1 - beta1) * r
    v = beta2 * v + (1 - beta2) * r**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * scale * lifted(q, m_hat / (v_hat.sqrt() + eps), g), m, v, q


galore = decoupled(
    _galore,
    name="galore",
    title="GaLore",
    weight_decay=0.0,
    paper="Zhao et al. 2024, arXiv:2403.03507, Algorithm 2",
    summary="AdamW in a low-rank space that follows the gradient, and AdamW for all that is no matrix.",
)


@rule(otherwise=adam, flat=True, largest=VOCABULARY)
def _apollo_adamw(
    p,
    g,
    m: Moment,
    v: Moment,
    q: Basis,
    norm: Norm,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    rank: Count = 128,
    update_proj_gap: Count = 200,
    scale: Fixed = 1.0,
    growth: Fixed = 1.01,
    seed: Seed = 0,
):
    """The gradient, each channel scaled as Adam scales it in a random projection, in steps of steady length."""
    q = when((t - 1) % update_proj_gap == 0, projection(q, (t - 1) // update_proj_gap, seed, "apollo"), q)
    r = projected(q, g)
    m = beta1 * m + (1 - beta1) * r
    v = beta2 * v + (1 - beta2) * r**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    r_tilde = m_hat / (v_hat.sqrt() + eps)
    u = g * as_wide(r_tilde.norm(dim=-2, keepdim=True) / (r.norm(dim=-2, keepdim=True) + eps), g)
    length = u.norm(dim=(-2, -1), keepdim=True)
    share = where(norm > 0, minimum(growth * norm / length, 1.0), 1.0)
    return p - lr * scale * share * u, m, v, q, share * length


apollo_adamw = decoupled(
    _apollo_adamw,
    name="apollo_adamw",
    title="APOLLO",
    weight_decay=0.0,
    paper="Zhu et al. 2024, arXiv:2412.05270, Algorithm 1, scaled by channel",
    summary="AdamW's scaling of channels, estimated in a random low-rank space; AdamW for all that is no matrix.",
)
