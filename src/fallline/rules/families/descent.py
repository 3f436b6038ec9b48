"""Gradient descent and momentum."""

from __future__ import annotations

from typing import Annotated

from ..hyper import Fixed, Momentum, SgdRate
from ..modifiers import decoupled
from ..ops import maximum, where
from ..rule import carried, rule


@rule(paper="Robbins & Monro 1951, equation 2", title="SGD")
def sgd(p, g, *, t, lr: SgdRate = 1e-3):
    """Gradient descent: a step against the gradient."""
    return p - lr * g


@rule(paper="Polyak 1964; as in Sutskever et al. 2013, section 2, with the rate outside the velocity")
def momentum(p, g, v, *, t, lr: SgdRate = 1e-3, momentum: Momentum = 0.9, dampening: Fixed = 0.0):
    """Heavy ball, velocity of gradients: the rate multiplies the velocity, so a new rate acts at once."""
    v = momentum * v + where(t == 1, 1.0, 1 - dampening) * g
    return p - lr * v, v


@rule(paper="Polyak 1964; Sutskever et al. 2013, equations 1 and 2")
def classical_momentum(p, g, v, *, t, lr: SgdRate = 1e-3, momentum: Momentum = 0.9):
    """Heavy ball, velocity of steps: the rate is inside the velocity, so a new rate acts gradually."""
    v = momentum * v - lr * g
    return p + v, v


@rule(paper="Nesterov 1983; transformed as in Bengio et al. 2013, arXiv:1212.0901, equation 7")
def nesterov(p, g, v, *, t, lr: SgdRate = 1e-3, momentum: Momentum = 0.9, dampening: Fixed = 0.0):
    """Nesterov momentum, transformed: `p` is the look-ahead point, where the gradient is taken."""
    v = momentum * v + where(t == 1, 1.0, 1 - dampening) * g
    return p - lr * (g + momentum * v), v


@rule(paper="Nesterov 1983; Sutskever et al. 2013, equations 3 and 4")
def nesterov_lookahead(p, g, v, *, t, lr: SgdRate = 1e-3, momentum: Momentum = 0.9):
    """Nesterov momentum, look-ahead form: back to the iterate, step with the gradient ahead of it, look ahead again."""
    theta = p - momentum * v
    v = momentum * v - lr * g
    theta = theta + v
    return theta + momentum * v, v


sgdw = decoupled(
    momentum,
    name="sgdw",
    title="SGDW",
    weight_decay=5e-4,
    paper="Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 1, with the rate outside the velocity",
    summary="Heavy ball with decoupled weight decay.",
)


def _averaged(p, ax):
    return ax


@rule(
    paper="Polyak & Juditsky 1992; the rate that falls, and the decay, as in Xu 2011, arXiv:1107.2490, section 4",
    title="ASGD",
    evaluation=_averaged,
)
def asgd(
    p,
    g,
    ax,
    eta: Annotated[float, carried(0.0)],
    mu: Annotated[float, carried(1.0)],
    *,
    t,
    lr: SgdRate = 1e-2,
    lambd: Fixed = 1e-4,
    alpha: Fixed = 0.75,
    t0: Fixed = 1e6,
):
    """Averaged SGD: a rate that falls, and the mean of all iterates past step `t0 + 1`, at which to evaluate."""
    rate = where(t == 1, lr, eta)
    p = p * (1 - lambd * rate) - rate * g
    ax = where(mu == 1, p, ax + mu * (p - ax))
    eta = lr / (1 + lambd * lr * t) ** alpha
    mu = 1 / maximum(t - t0, 1.0)
    return p, ax, eta, mu
