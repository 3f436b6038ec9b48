"""Adam with another second moment, or with the second moment put to another use."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Epsilon, Fixed, Rate, at_least, log
from ..modifiers import amsgrad
from ..ops import maximum, minimum, where
from ..rule import initial, rule

FinalRate = Annotated[float, at_least(0), log(1e-2, 1)]
Accumulator = Annotated[Any, initial("initial_accumulator_value"), at_least(0)]


@rule(paper="Zhuang et al. 2020, arXiv:2010.07468, Algorithm 2", title="AdaBelief")
def adabelief(p, g, m, s, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-16):
    """Adam that trusts a gradient by how near it is to the average: long steps where it comes as expected."""
    m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
    m_hat = m / (1 - beta1**t)
    s_hat = s / (1 - beta2**t)
    return p - lr * m_hat / (s_hat.sqrt() + eps), m, s


@rule(
    paper="Luo et al. 2019, arXiv:1902.09843, Algorithm 2 with the bounds of section 4; Adam's corrections in place of "
    "the root of t, as in the authors' code",
    title="AdaBound",
)
def adabound(
    p,
    g,
    m,
    v,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    final_lr: FinalRate = 0.1,
    gamma: Fixed = 1e-3,
):
    """Adam whose rates are held between bounds that close in on one rate: it ends as momentum."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    lower = final_lr * (1 - 1 / (gamma * t + 1))
    upper = final_lr * (1 + 1 / (gamma * t))
    alpha = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    eta = minimum(maximum(alpha / (v.sqrt() + eps), lower), upper)
    return p - eta * m, m, v


amsbound = amsgrad(
    adabound,
    name="amsbound",
    title="AMSBound",
    paper="Luo et al. 2019, arXiv:1902.09843, Algorithm 3, with Adam's corrections as in the authors' code",
    summary="AdaBound with the largest second moment so far.",
)


@rule(
    paper="Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization, "
    "https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization, Algorithm 2"
)
def yogi(
    p,
    g,
    m,
    v: Accumulator,
    *,
    t,
    lr: Rate = 1e-2,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-3,
    initial_accumulator_value: Fixed = 1e-6,
):
    """Adam whose second moment moves by the size of the squared gradient alone, so that it falls slowly."""
    m = beta1 * m + (1 - beta1) * g
    v = v - (1 - beta2) * (v - g**2).sign() * g**2
    return p - lr * m / (v.sqrt() + eps), m, v


@rule(paper="Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2; its step 0 is step 1 here", title="ADOPT")
def adopt(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.9999, eps: Epsilon = 1e-6):
    """Momentum of gradients scaled by the second moment before them, clipped: it converges for any `beta2`.

    The first step only measures the second moment.
    """
    c = (t - 1) ** 0.25
    m = beta1 * m + (1 - beta1) * (g / maximum(v.sqrt(), eps)).clamp(-c, c)
    v = where(t == 1, g**2, beta2 * v + (1 - beta2) * g**2)
    return p - lr * m, m, v


@rule(paper="Ziyin et al. 2020, arXiv:2002.04839, Algorithm 1", title="LaProp")
def laprop(p, g, m, v, *, t, lr: Rate = 4e-4, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-15):
    """Momentum of gradients that are scaled first: any `beta1` goes with any `beta2`."""
    v = beta2 * v + (1 - beta2) * g**2
    v_hat = v / (1 - beta2**t)
    m = beta1 * m + (1 - beta1) * g / (v_hat.sqrt() + eps)
    m_hat = m / (1 - beta1**t)
    return p - lr * m_hat, m, v


@rule(paper="Cao et al. 2024, arXiv:2412.17107, Algorithm 1")
def grams(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-6):
    """Adam's step in size, the gradient's sign in direction."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    u = m_hat / (v_hat.sqrt() + eps)
    return p - lr * u.abs() * g.sign(), m, v
