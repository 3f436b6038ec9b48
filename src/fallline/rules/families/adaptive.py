"""Rules that give every coordinate its own rate from the size of its past gradients."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Epsilon, Fixed, Momentum, Rate, at_least, log
from ..rule import exact, initial, rule

Centered = Annotated[Any, exact]
Accumulator = Annotated[Any, initial("initial_accumulator_value")]
AdagradRate = Annotated[float, at_least(0), log(1e-4, 1)]
AdadeltaRate = Annotated[float, at_least(0), log(1e-2, 10)]


@rule(paper="Duchi et al. 2011, equation 1 with diagonal matrices")
def adagrad(
    p,
    g,
    s: Accumulator,
    *,
    t,
    lr: AdagradRate = 1e-2,
    lr_decay: Fixed = 0.0,
    eps: Epsilon = 1e-10,
    initial_accumulator_value: Fixed = 0.0,
):
    """Divide by the root of the sum of all squared gradients."""
    s = s + g**2
    return p - lr / (1 + (t - 1) * lr_decay) * g / (s.sqrt() + eps), s


@rule(paper="Tieleman & Hinton 2012, lecture 6.5; epsilon outside the root", title="RMSprop")
def rmsprop(p, g, v, *, t, lr: Rate = 1e-2, alpha: Beta2 = 0.99, eps: Epsilon = 1e-8):
    """Divide by the root of the average squared gradient."""
    v = alpha * v + (1 - alpha) * g**2
    return p - lr * g / (v.sqrt() + eps), v


@rule(paper="Tieleman & Hinton 2012, lecture 6.5; epsilon inside the root", title="RMSpropInside")
def rmsprop_inside(p, g, v, *, t, lr: Rate = 1e-2, alpha: Beta2 = 0.99, eps: Epsilon = 1e-8):
    """RMSProp with epsilon under the root."""
    v = alpha * v + (1 - alpha) * g**2
    return p - lr * g / (v + eps).sqrt(), v


@rule(
    paper="Graves 2013, arXiv:1308.0850, equations 38 to 41, uncentered, epsilon outside the root",
    title="RMSpropMomentum",
)
def rmsprop_momentum(
    p, g, v, b, *, t, lr: Rate = 1e-2, alpha: Beta2 = 0.99, eps: Epsilon = 1e-8, momentum: Momentum = 0.9
):
    """RMSProp with heavy-ball momentum on the scaled gradient."""
    v = alpha * v + (1 - alpha) * g**2
    b = momentum * b + g / (v.sqrt() + eps)
    return p - lr * b, v, b


@rule(paper="Graves 2013, arXiv:1308.0850, equations 38 to 40, epsilon outside the root", title="RMSpropCentered")
def rmsprop_centered(
    p, g, v: Centered, g_avg: Centered, *, t, lr: Rate = 1e-2, alpha: Beta2 = 0.99, eps: Epsilon = 1e-8
):
    """RMSProp divided by the gradient's standard deviation."""
    v = alpha * v + (1 - alpha) * g**2
    g_avg = alpha * g_avg + (1 - alpha) * g
    return p - lr * g / ((v - g_avg**2).sqrt() + eps), v, g_avg


@rule(
    paper="Graves 2013, arXiv:1308.0850, equations 38 to 41, epsilon outside the root", title="RMSpropCenteredMomentum"
)
def rmsprop_centered_momentum(
    p,
    g,
    v: Centered,
    g_avg: Centered,
    b,
    *,
    t,
    lr: Rate = 1e-2,
    alpha: Beta2 = 0.99,
    eps: Epsilon = 1e-8,
    momentum: Momentum = 0.9,
):
    """Centered RMSProp with heavy-ball momentum."""
    v = alpha * v + (1 - alpha) * g**2
    g_avg = alpha * g_avg + (1 - alpha) * g
    b = momentum * b + g / ((v - g_avg**2).sqrt() + eps)
    return p - lr * b, v, g_avg, b


@rule(paper="Zeiler 2012, arXiv:1212.5701, Algorithm 1")
def adadelta(p, g, v, u, *, t, lr: AdadeltaRate = 1.0, rho: Beta2 = 0.9, eps: Epsilon = 1e-6):
    """Steps in the units of past steps: no rate to choose, in principle."""
    v = rho * v + (1 - rho) * g**2
    delta = (u + eps).sqrt() / (v + eps).sqrt() * g
    u = rho * u + (1 - rho) * delta**2
    return p - lr * delta, v, u


@rule(paper="Defazio & Jelassi 2021, arXiv:2101.11075, Algorithm 1", title="MADGRAD")
def madgrad(
    p,
    g,
    s: Annotated[Any, exact],
    nu,
    x0: Annotated[Any, initial("p")],
    *,
    t,
    lr: Rate = 1e-2,
    momentum: Beta1 = 0.9,
    eps: Epsilon = 1e-6,
):
    """Dual averaging from the start, divided by the cube root of the summed squares, with momentum by averaging."""
    alpha = lr * t**0.5
    s = s + alpha * g
    nu = nu + alpha * g**2
    z = x0 - s / (nu ** (1 / 3) + eps)
    return momentum * p + (1 - momentum) * z, s, nu, x0
