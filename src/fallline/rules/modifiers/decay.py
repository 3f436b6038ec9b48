"""Weights that shrink beside the rule's step, and penalties that do it through the gradient."""

from __future__ import annotations

from ..hyper import Fixed, Penalty, WeightDecay
from ..modifier import modifier
from ..ops import where


@modifier(paper="Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithms 1 and 2", stage="decay", setting="weight_decay")
def decoupled(step, p, g, *state, lr, weight_decay: WeightDecay = 1e-2, **hyper):
    """Weights decay by the share `lr * weight_decay` of a step, apart from the gradient."""
    return step(p * (1 - lr * weight_decay), g, *state, lr=lr, **hyper)


@modifier(
    paper="Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2 as it stands: the decay has the schedule's "
    "multiplier alone",
    stage="decay",
    setting="independent_decay",
)
def fully_decoupled(step, p, g, *state, lr, independent_decay: WeightDecay = 1e-4, peak_lr: Fixed = 0.0, **hyper):
    """Weights decay by the share `independent_decay` of a step, whatever the rate.

    Where the rate has a schedule, `peak_lr` is its highest: the decay then follows `lr / peak_lr`. At 0 it is constant.
    """
    multiplier = where(peak_lr > 0, lr / where(peak_lr > 0, peak_lr, 1.0), 1.0)
    return step(p * (1 - multiplier * independent_decay), g, *state, lr=lr, **hyper)


@modifier(stage="penalty")
def l2(step, p, g, *state, l2: Penalty = 1e-4, **hyper):
    """The penalty l2/2 * |p|^2 in the loss: its gradient l2 * p joins the gradient."""
    return step(p, g + l2 * p, *state, **hyper)


@modifier(stage="penalty")
def l1(step, p, g, *state, l1: Penalty = 1e-5, **hyper):
    """The penalty l1 * |p|_1 in the loss: its subgradient l1 * sign(p) joins the gradient."""
    return step(p, g + l1 * p.sign(), *state, **hyper)
