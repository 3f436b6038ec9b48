"""Momentum made orthogonal: Muon and what was made of it, with AdamW for all that is no matrix."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta2, Count, Epsilon, Interval, Momentum, Rate, Switch, at_least
from ..matrices import orthogonalized
from ..modifiers import decoupled
from ..ops import columns, maximum, numel, rows, sqrt, when
from ..rule import rule, shaped
from .adam import adam

VOCABULARY = 30_000
"""A longer side is a vocabulary's: embeddings and output layers are for AdamW."""

Coefficient = Annotated[float, Interval()]
Rows = Annotated[Any, shaped("rows", 1)]


@rule(otherwise=adam, flat=True, largest=VOCABULARY)
def _muon(
    p,
    g,
    m,
    *,
    t,
    lr: Rate = 1e-3,
    momentum: Momentum = 0.95,
    nesterov: Switch = 1,
    match_rms: Switch = 1,
    ns_steps: Count = 5,
    ns_a: Coefficient = 3.4445,
    ns_b: Coefficient = -4.7750,
    ns_c: Coefficient = 2.0315,
    ns_eps: Epsilon = 1e-7,
):
    """Orthogonalized momentum, its step as large as AdamW's (`match_rms`) or as at first, which wants larger rates."""
    m = momentum * m + (1 - momentum) * g
    u = when(nesterov, momentum * m + (1 - momentum) * g, m)
    o = orthogonalized(u, ns_steps, ns_a, ns_b, ns_c, ns_eps)
    size = when(match_rms, 0.2 * sqrt(maximum(rows(p), columns(p))), sqrt(maximum(rows(p) / columns(p), 1.0)))
    return p - lr * size * o, m


muon = decoupled(
    _muon,
    name="muon",
    title="Muon",
    weight_decay=0.1,
    paper="Jordan et al. 2024, Muon, https://kellerjordan.github.io/posts/muon/, with the rate of Liu et al. 2025, "
    "arXiv:2502.16982, equation 4",
    summary="Orthogonalized momentum, its step as large as AdamW's, which steps all that is no matrix.",
)


@rule(otherwise=adam, flat=True, largest=VOCABULARY)
def _normuon(p, g, m, v: Rows, *, t, lr: Rate = 1e-3, momentum: Momentum = 0.95, beta2: Beta2 = 0.95, eps=1e-8):
    """Orthogonalized momentum divided by the root of each row's average square."""
    m = momentum * m + (1 - momentum) * g
    o = orthogonalized(m)
    v = beta2 * v + (1 - beta2) * (o**2).mean(-1, keepdim=True)
    o_hat = o / (v.sqrt() + eps)
    return p - lr * 0.2 * sqrt(numel(p)) / (o_hat.norm() + eps) * o_hat, m, v


normuon = decoupled(
    _normuon,
    name="normuon",
    title="NorMuon",
    paper="Li et al. 2025, arXiv:2510.05491, Algorithm 1",
    summary="Muon with a rate for every row, and AdamW for all that is no matrix.",
)


@rule(otherwise=adam, flat=True, largest=VOCABULARY)
def _adamuon(p, g, m, v: Annotated[Any, at_least(0)], *, t, lr: Rate = 1e-3, momentum: Momentum = 0.95, eps=1e-8):
    """The orthogonalized sign of momentum divided by the root of its average square."""
    m = momentum * m + g
    o = orthogonalized(m.sign())
    v = momentum * v + (1 - momentum) * o**2
    o_hat = o / (v.sqrt() + eps)
    return p - lr * 0.2 * sqrt(numel(p)) / (o_hat.norm() + eps) * o_hat, m, v


adamuon = decoupled(
    _adamuon,
    name="adamuon",
    title="AdaMuon",
    paper="Si et al. 2025, arXiv:2507.11005, Algorithm 1",
    summary="Muon with Adam's second moment, and AdamW for all that is no matrix.",
)
