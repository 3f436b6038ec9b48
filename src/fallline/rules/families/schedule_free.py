"""Schedule-free learning: what a schedule that falls would do, done by an average of the iterates.

Gradients are taken at `y`, between the iterate `z`, which takes the steps, and the average `x` of the iterates. The
parameter is `y`; a model is to be evaluated at `x`, which need not be kept: `y = (1 - beta) z + beta x`.
"""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta2, Epsilon, Rate, SgdRate, WeightDecay, between, one_minus_log, whole
from ..ops import maximum, minimum, sqrt, where
from ..rule import carried, initial, rule

Interpolation = Annotated[float, between(0.01, 1), one_minus_log(0.5, 0.99)]
Iterate = Annotated[Any, initial("p")]
Weights = Annotated[float, carried(0.0)]
Steps = Annotated[float, whole(0)]


def _average(y, z, beta):
    return z + (y - z) / beta


def _of_momentum(p, z, momentum):
    return _average(p, z, momentum)


def _of_beta1(p, z, beta1):
    return _average(p, z, beta1)


def _stepped(y, z, u, gamma, weights, beta):
    """The new `y`, `z` and sum of weights after the step `gamma * u`; an iterate weighs the square of its rate."""
    x = _average(y, z, beta)
    z = z - gamma * u
    weights = weights + gamma**2
    c = where(weights > 0, gamma**2 / weights, 0.0)
    x = (1 - c) * x + c * z
    return (1 - beta) * z + beta * x, z, weights


@rule(
    paper="Defazio et al. 2024, arXiv:2405.15682, the updates of y, z and x, weighted as in Algorithm 1",
    title="ScheduleFreeSGD",
    evaluation=_of_momentum,
)
def schedule_free_sgd(
    p,
    g,
    z: Iterate,
    weights: Weights,
    *,
    t,
    lr: SgdRate = 1.0,
    momentum: Interpolation = 0.9,
    weight_decay: WeightDecay = 0.0,
    warmup_steps: Steps = 0,
):
    """SGD whose average takes the place of a schedule. Decay is taken at `y`, where the gradient is."""
    gamma = lr * minimum(t / maximum(warmup_steps, 1.0), 1.0)
    return _stepped(p, z, g + weight_decay * p, gamma, weights, momentum)


@rule(
    paper="Defazio et al. 2024, arXiv:2405.15682, Algorithm 1, its correction in the second moment, as in the authors' "
    "code",
    title="ScheduleFreeAdamW",
    evaluation=_of_beta1,
)
def schedule_free_adamw(
    p,
    g,
    z: Iterate,
    v,
    weights: Weights,
    *,
    t,
    lr: Rate = 2.5e-3,
    beta1: Interpolation = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    warmup_steps: Steps = 0,
):
    """AdamW whose average takes the place of momentum and of a schedule. Decay is taken at `y`."""
    v = beta2 * v + (1 - beta2) * g**2
    v_hat = v / (1 - beta2**t)
    u = g / (v_hat.sqrt() + eps) + weight_decay * p
    gamma = lr * minimum(t / maximum(warmup_steps, 1.0), 1.0)
    y, z, weights = _stepped(p, z, u, gamma, weights, beta1)
    return y, z, v, weights


@rule(
    paper="Defazio et al. 2024, arXiv:2405.15682, Algorithm 1, warmed up by the rectification of Liu et al. 2020, "
    "arXiv:1908.03265, as in the authors' code",
    title="ScheduleFreeRAdam",
    evaluation=_of_beta1,
)
def schedule_free_radam(
    p,
    g,
    z: Iterate,
    v,
    weights: Weights,
    *,
    t,
    lr: Rate = 2.5e-3,
    beta1: Interpolation = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
):
    """Schedule-free AdamW warmed up by RAdam's rectification; it stands still while the variance is unbounded."""
    v = beta2 * v + (1 - beta2) * g**2
    v_hat = v / (1 - beta2**t)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    rectified = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    gamma = lr * where(rho > 4, rectified, 0.0)
    u = g / (v_hat.sqrt() + eps) + weight_decay * p
    y, z, weights = _stepped(p, z, u, gamma, weights, beta1)
    return y, z, v, weights
