"""Rules that act on the sign of the gradient."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Fixed, Rate, SgdRate, SignRate, at_least, between, linear
from ..ops import maximum, minimum, where
from ..rule import initial, rule

Strength = Annotated[float, at_least(0), linear(0, 2)]
StepSize = Annotated[Any, initial("lr")]
LionBeta2 = Annotated[float, between(0, 1, closed=False)]


@rule(paper="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 1", title="SignSGD")
def signsgd(p, g, *, t, lr: SignRate = 1e-3):
    """A step of one length in every coordinate, against the gradient's sign."""
    return p - lr * g.sign()


@rule(paper="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2")
def signum(p, g, m, *, t, lr: SignRate = 1e-4, momentum: Beta1 = 0.9):
    """The sign of the average gradient."""
    m = momentum * m + (1 - momentum) * g
    return p - lr * m.sign(), m


@rule(
    paper="Su 2023, Tiger: a tight-fisted optimizer, https://github.com/bojone/tiger, equation 1, without its weight "
    "decay"
)
def tiger(p, g, m, *, t, lr: SignRate = 1e-3, beta: Beta1 = 0.965):
    """Signum with the memory that suits large models: Lion with one decay rate."""
    m = beta * m + (1 - beta) * g
    return p - lr * m.sign(), m


@rule(paper="Chen et al. 2023, arXiv:2302.06675, Algorithm 2, without its weight decay")
def lion(p, g, m, *, t, lr: SignRate = 1e-4, beta1: Beta1 = 0.9, beta2: LionBeta2 = 0.99):
    """The sign of an average of momentum and gradient."""
    c = beta1 * m + (1 - beta1) * g
    m = beta2 * m + (1 - beta2) * g
    return p - lr * c.sign(), m


@rule(paper="Bello et al. 2017, arXiv:1709.07417, section 4.3", title="PowerSign")
def powersign(p, g, m, *, t, lr: SgdRate = 1e-1, beta: Beta1 = 0.9, strength: Strength = 1.0):
    """Larger steps, by a power of e, where gradient and average gradient agree in sign; smaller where they do not."""
    m = beta * m + (1 - beta) * g
    return p - lr * (strength * g.sign() * m.sign()).exp() * g, m


@rule(paper="Bello et al. 2017, arXiv:1709.07417, section 4.3", title="AddSign")
def addsign(p, g, m, *, t, lr: SgdRate = 1e-1, beta: Beta1 = 0.9, strength: Strength = 1.0):
    """Longer steps where gradient and average gradient agree in sign; none where they do not."""
    m = beta * m + (1 - beta) * g
    return p - lr * (1 + strength * g.sign() * m.sign()) * g, m


@rule(paper="Riedmiller & Braun 1993, equations 4 to 6, without weight backtracking")
def rprop(
    p,
    g,
    g_prev,
    size: StepSize,
    *,
    t,
    lr: Rate = 1e-2,
    eta_minus: Fixed = 0.5,
    eta_plus: Fixed = 1.2,
    size_min: Fixed = 1e-6,
    size_max: Fixed = 50.0,
):
    """A step size per coordinate that grows while its gradient keeps its sign and shrinks when it turns."""
    agree = g * g_prev
    size = where(agree > 0, size * eta_plus, where(agree < 0, size * eta_minus, size))
    size = minimum(maximum(size, size_min), size_max)
    g = where(agree < 0, 0.0, g)
    return p - size * g.sign(), g, size
