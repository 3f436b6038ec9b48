"""Rules that find their rate: from how far the parameters have come, or from what the gradients say of the distance."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Epsilon, Fixed, WeightDecay, at_least, log
from ..ops import maximum, sqrt, total, where
from ..rule import carried, exact, initial, rule

Scale = Annotated[float, at_least(0), log(1e-1, 10)]
Number = Annotated[float, carried(0.0)]
Start = Annotated[Any, initial("p")]
Sum = Annotated[Any, exact]


def _larger(d, above, below):
    """The new estimate of the distance: it never falls. Without a gradient so far there is nothing to divide by."""
    return maximum(d, where(below > 0, above / below, 0.0))


@rule(
    paper="Defazio & Mishchenko 2023, arXiv:2301.07733, Algorithm 4; weight decay joins the gradient",
    title="DAdaptSGD",
)
def dadapt_sgd(
    p,
    g,
    s: Annotated[Any, exact],
    x0: Start,
    d: Number,
    g0: Number,
    r: Number,
    *,
    t,
    lr: Scale = 1.0,
    momentum: Beta1 = 0.9,
    weight_decay: WeightDecay = 0.0,
    d0: Fixed = 1e-6,
):
    """SGD by dual averaging, its rate a lower bound of the distance to the solution over the first gradient's norm."""
    d = where(t == 1, d0, d)
    g0 = where(g0 > 0, g0, sqrt(total(g**2)))
    g = g + weight_decay * p
    rate = where(g0 > 0, lr * d / g0, 0.0)
    r = r + rate * total(g * s)
    s = s + rate * g
    d_next = _larger(d, 2 * r, sqrt(total(s**2)))
    z = x0 - s
    return momentum * p + (1 - momentum) * z, s, x0, d_next, g0, r


@rule(
    paper="Defazio & Mishchenko 2023, arXiv:2301.07733, Algorithm 5, the inner product weighed by the second moment "
    "before the step, as in the authors' code",
    title="DAdaptAdam",
)
def dadapt_adam(
    p,
    g,
    m,
    v,
    s,
    d: Number,
    r: Number,
    *,
    t,
    lr: Scale = 1.0,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    d0: Fixed = 1e-6,
):
    """Adam, its rate a lower bound of the distance to the solution. Decoupled decay goes with that rate."""
    d = where(t == 1, d0, d)
    rate, rho = lr * d, beta2**0.5
    r = rho * r + (1 - rho) * rate * total(g * s / (v.sqrt() + eps))
    m = beta1 * m + (1 - beta1) * rate * g
    v = beta2 * v + (1 - beta2) * g**2
    s = rho * s + (1 - rho) * rate * g
    d_next = _larger(d, r, (1 - rho) * total(s.abs()))
    return p * (1 - rate * weight_decay) - m / (v.sqrt() + eps), m, v, s, d_next, r


@rule(paper="Mishchenko & Defazio 2024, arXiv:2306.06101, Algorithm 4")
def prodigy(
    p,
    g,
    m,
    v,
    s,
    x0: Start,
    d: Number,
    r: Number,
    *,
    t,
    lr: Scale = 1.0,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    d0: Fixed = 1e-6,
    d_coef: Scale = 1.0,
):
    """Adam, its rate an estimate of the distance to the solution, from the way come so far along the gradients."""
    d = where(t == 1, d0, d)
    rate, rho = lr * d, beta2**0.5
    m = beta1 * m + (1 - beta1) * d * g
    v = beta2 * v + (1 - beta2) * (d * g) ** 2
    r = rho * r + (1 - rho) * rate * d * total(g * (x0 - p))
    s = rho * s + (1 - rho) * rate * d * g
    d_next = _larger(d, d_coef * r, total(s.abs()))
    return p * (1 - rate * weight_decay) - rate * m / (v.sqrt() + d * eps), m, v, s, x0, d_next, r


@rule(paper="Ivgi et al. 2023, arXiv:2302.12022, equation DoG", title="DoG")
def dog(
    p,
    g,
    x0: Start,
    r: Number,
    g_squared: Number,
    *,
    t,
    lr: Scale = 1.0,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    reps_rel: Fixed = 1e-6,
):
    """SGD, its rate the largest distance from the start over the root of the sum of squared gradient norms.

    The first distance is `reps_rel` of the parameters' norm and one. Weight decay joins the gradient.
    """
    g = g + weight_decay * p
    far = sqrt(total((p - x0) ** 2))
    r = where(t == 1, reps_rel * (1 + sqrt(total(x0**2))), maximum(r, far))
    g_squared = g_squared + total(g**2)
    return p - lr * r / sqrt(g_squared + eps) * g, x0, r, g_squared


@rule(paper="Ivgi et al. 2023, arXiv:2302.12022, equation DoG for each layer", title="LDoG")
def ldog(
    p,
    g,
    x0: Start,
    r: Number,
    g_squared: Number,
    *,
    t,
    lr: Scale = 1.0,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    reps_rel: Fixed = 1e-6,
):
    """DoG for each tensor on its own."""
    g = g + weight_decay * p
    far = (p - x0).norm()
    r = where(t == 1, reps_rel * (1 + x0.norm()), maximum(r, far))
    g_squared = g_squared + (g**2).sum()
    return p - lr * r / sqrt(g_squared + eps) * g, x0, r, g_squared
