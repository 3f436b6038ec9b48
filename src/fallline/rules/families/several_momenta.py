"""Rules with several momenta, or with momentum and the plain gradient mixed."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Epsilon, Fixed, Momentum, Rate, SgdRate, WeightDecay, at_least, between, linear, whole
from ..hyper import log as log_range
from ..ops import log, maximum, where
from ..rule import initial, rule

Share = Annotated[float, between(0, 1), linear(0, 1)]
Slow = Annotated[float, between(0, 1, closed=False)]
Damping = Annotated[float, between(0, 1, closed=False)]
Mix = Annotated[float, at_least(0), linear(1, 10)]
Steps = Annotated[float, whole(0)]
Noise = Annotated[float, at_least(0), linear(0, 2)]
LongStep = Annotated[float, at_least(1), log_range(10, 1e4)]
Advantage = Annotated[float, at_least(0), log_range(1, 100)]


@rule(paper="Ma & Yarats 2019, arXiv:1810.06801, equations 3 and 4", title="QHM")
def qhm(p, g, m, *, t, lr: SgdRate = 1.0, momentum: Momentum = 0.999, nu: Share = 0.7):
    """Quasi-hyperbolic momentum: a mean of the gradient and of its average."""
    m = momentum * m + (1 - momentum) * g
    return p - lr * ((1 - nu) * g + nu * m), m


@rule(paper="Ma & Yarats 2019, arXiv:1810.06801, section 5", title="QHAdam")
def qhadam(
    p,
    g,
    m,
    v,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.995,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    nu1: Share = 0.7,
    nu2: Share = 1.0,
):
    """Adam with both moments mixed with what they average."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * ((1 - nu1) * g + nu1 * m_hat) / (((1 - nu2) * g**2 + nu2 * v_hat).sqrt() + eps), m, v


@rule(paper="Lucas et al. 2019, arXiv:1804.00325, equation 3 with three velocities", title="AggMo")
def aggmo(
    p,
    g,
    v1,
    v2,
    v3,
    *,
    t,
    lr: SgdRate = 1e-3,
    beta1: Damping = 0.0,
    beta2: Damping = 0.9,
    beta3: Damping = 0.99,
):
    """Aggregated momentum: the mean of three velocities, damped to different degrees."""
    v1 = beta1 * v1 + g
    v2 = beta2 * v2 + g
    v3 = beta3 * v3 + g
    return p - lr / 3 * (v1 + v2 + v3), v1, v2, v3


@rule(paper="Kidambi et al. 2018, arXiv:1803.05591, Algorithm 3", title="AccSGD")
def accsgd(
    p,
    g,
    w: Annotated[Any, initial("p")],
    *,
    t,
    lr: SgdRate = 1e-3,
    kappa: LongStep = 1000.0,
    xi: Advantage = 10.0,
    constant: Fixed = 0.7,
):
    """Accelerated SGD: a short step, drawn toward an average `w` that takes steps `kappa` times as long."""
    alpha = 1 - xi * constant**2 / kappa
    w = alpha * w + (1 - alpha) * (p - lr * kappa / constant * g)
    share = constant / (constant + (1 - alpha))
    return share * (p - lr * g) + (1 - share) * w, w


@rule(paper="Xie et al. 2021, arXiv:2103.17182, Algorithm 2", title="PNM")
def pnm(p, g, m, m_prev, *, t, lr: SgdRate = 1e-3, beta1: Beta1 = 0.9, beta0: Noise = 1.0):
    """Positive-negative momentum: the difference of two momenta, of odd and of even steps, which amplifies noise."""
    m_new = beta1**2 * m_prev + (1 - beta1**2) * g
    return p - lr / _noise_norm(beta0) * ((1 + beta0) * m_new - beta0 * m), m_new, m


@rule(paper="Xie et al. 2021, arXiv:2103.17182, Algorithm 3", title="AdaPNM")
def adapnm(
    p,
    g,
    m,
    m_prev,
    v,
    v_max,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    beta0: Noise = 1.0,
):
    """AMSGrad with positive-negative momentum."""
    m_new = beta1**2 * m_prev + (1 - beta1**2) * g
    v = beta2 * v + (1 - beta2) * g**2
    v_max = maximum(v_max, v)
    m_hat = ((1 + beta0) * m_new - beta0 * m) / (1 - beta1**t)
    v_hat = v_max / (1 - beta2**t)
    return p - lr / _noise_norm(beta0) * m_hat / (v_hat.sqrt() + eps), m_new, m, v, v_max


def _noise_norm(beta0):
    """The length of the two momenta's weights: noise keeps its size."""
    return ((1 + beta0) ** 2 + beta0**2) ** 0.5


@rule(
    paper="Pagliardini et al. 2024, arXiv:2409.03137, Algorithm 1, with its schedulers of alpha and beta3",
    title="AdEMAMix",
)
def ademamix(
    p,
    g,
    m1,
    m2,
    v,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    beta3: Slow = 0.9999,
    eps: Epsilon = 1e-8,
    alpha: Mix = 5.0,
    alpha_warmup: Steps = 0,
    beta3_warmup: Steps = 0,
):
    """Adam with a second, far slower average of gradients.

    Over `alpha_warmup` steps its weight grows to `alpha`; over `beta3_warmup` steps its memory grows from `beta1`'s.
    """
    alpha = where(t < alpha_warmup, alpha * t / maximum(alpha_warmup, 1.0), alpha)
    done = t / maximum(beta3_warmup, 1.0)
    grown = beta3 ** (1 / ((1 - done) * log(beta3) / log(beta1) + done))
    beta3 = where(t < beta3_warmup, grown, beta3)
    m1 = beta1 * m1 + (1 - beta1) * g
    m2 = beta3 * m2 + (1 - beta3) * g
    v = beta2 * v + (1 - beta2) * g**2
    m1_hat = m1 / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * (m1_hat + alpha * m2) / (v_hat.sqrt() + eps), m1, m2, v


@rule(paper="Xie et al. 2022, arXiv:2208.06677, Algorithm 1; decay rates are one minus the paper's")
def adan(
    p,
    g,
    m,
    v,
    n,
    g_prev,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.98,
    beta2: Beta1 = 0.92,
    beta3: Beta2 = 0.99,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
):
    """Adaptive Nesterov momentum: averages of the gradient, of its change, and of the square of their sum."""
    change = where(t == 1, 0.0, g - g_prev)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * change
    n = beta3 * n + (1 - beta3) * (g + beta2 * change) ** 2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    n_hat = n / (1 - beta3**t)
    u = (m_hat + beta2 * v_hat) / (n_hat.sqrt() + eps)
    return (p - lr * u) / (1 + lr * weight_decay), m, v, n, g
