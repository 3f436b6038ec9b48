"""Steps of one length in the norm that suits the kind of layer: the linear minimization oracles of Scion."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from ..hyper import Epsilon, Momentum, at_least, log
from ..matrices import orthogonalized
from ..modifiers import decoupled
from ..ops import columns, numel, rows, sqrt
from ..rule import rule
from .muon import VOCABULARY

ScionRate = Annotated[float, at_least(0), log(1e-5, 1e-1)]
Radius = Annotated[float, at_least(0), log(1, 1e3)]


@rule
def _scion_bias(
    p, g, m, *, t, lr: ScionRate = 1e-3, momentum: Momentum = 0.9, radius: Radius = 10.0, eps: Epsilon = 1e-8
):
    """Vectors: the root mean square."""
    m = momentum * m + (1 - momentum) * g
    return p - lr * radius * m / (m.norm() / sqrt(numel(m)) + eps), m


@rule(otherwise=_scion_bias, flat=True)
def _scion_sign(p, g, m, *, t, lr: ScionRate = 1e-3, momentum: Momentum = 0.9, radius: Radius = 10.0):
    """Embeddings and output layers: the largest row sum, whose steepest direction is the sign over the fan-in."""
    m = momentum * m + (1 - momentum) * g
    return p - lr * radius / columns(p) * m.sign(), m


@rule(
    paper="Pethick et al. 2025, arXiv:2502.07529, Algorithm 1, with its norms for kinds of layers",
    otherwise=replace(_scion_sign, by_units=True),  # it steps element-wise groups, where these layers belong
    flat=True,
    largest=VOCABULARY,
)
def scion_unconstrained(p, g, m, *, t, lr: ScionRate = 1e-3, momentum: Momentum = 0.9, radius: Radius = 10.0):
    """Hidden layers step in the spectral norm, embeddings and output layers by sign, biases by root mean square."""
    m = momentum * m + (1 - momentum) * g
    return p - lr * radius * sqrt(rows(p) / columns(p)) * orthogonalized(m), m


scion = decoupled(
    scion_unconstrained,
    name="scion",
    weight_decay=1.0,
    paper="Pethick et al. 2025, arXiv:2502.07529, Algorithm 2, with its norms for kinds of layers",
    summary="Steps towards the corner of a norm ball, of the norm that suits the layer; weights stay in the ball.",
)
