"""Decay of weights and penalties on them."""

from __future__ import annotations

from ..hyper import Penalty, WeightDecay
from ..modifier import modifier


@modifier
def decoupled(step, p, g, *state, lr, weight_decay: WeightDecay = 1e-2, **hyper):
    """Weight decay apart from the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithms 1 and 2)."""
    return step(p * (1 - lr * weight_decay), g, *state, lr=lr, **hyper)


@modifier
def l2(step, p, g, *state, l2: Penalty = 0.0, **hyper):
    """The penalty l2/2 * |p|^2 in the loss: its gradient l2 * p joins the gradient."""
    return step(p, g + l2 * p, *state, **hyper)


@modifier
def l1(step, p, g, *state, l1: Penalty = 0.0, **hyper):
    """The penalty l1 * |p|_1 in the loss: its subgradient l1 * sign(p) joins the gradient."""
    return step(p, g + l1 * p.sign(), *state, **hyper)
