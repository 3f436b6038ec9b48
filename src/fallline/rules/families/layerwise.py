"""Rules with one rate for a whole tensor, or for a row of it: from norms, or from the mean square of gradients."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Epsilon, Rate, WeightDecay, at_least, log
from ..ops import maximum, sqrt, where
from ..rule import carried, rule, shaped

LargeRate = Annotated[float, at_least(0), log(1e-1, 1e2)]
Momentum = Beta1
Trust = Annotated[float, at_least(0), log(1e-4, 1e-1)]
Number = Annotated[float, carried(0.0)]


@rule(paper="You et al. 2017, arXiv:1708.03888, Algorithm 1", title="LARS")
def lars(
    p,
    g,
    v,
    *,
    t,
    lr: LargeRate = 1.0,
    momentum: Momentum = 0.9,
    weight_decay: WeightDecay = 5e-4,
    trust: Trust = 1e-3,
):
    """Heavy ball whose rate in each tensor is in proportion to the tensor's norm over its gradient's."""
    w_norm, g_norm = p.norm(), g.norm()
    local = where((w_norm > 0) & (g_norm > 0), trust * w_norm / (g_norm + weight_decay * w_norm), 1.0)
    v = momentum * v + lr * local * (g + weight_decay * p)
    return p - v, v


@rule(paper="You et al. 2020, arXiv:1904.00962, Algorithm 2, its phi the identity", title="LAMB")
def lamb(
    p,
    g,
    m,
    v,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-6,
    weight_decay: WeightDecay = 1e-2,
):
    """Adam whose step in each tensor is as long as the tensor is, times the rate."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    u = m_hat / (v_hat.sqrt() + eps) + weight_decay * p
    w_norm, u_norm = p.norm(), u.norm()
    trust = where((w_norm > 0) & (u_norm > 0), w_norm / u_norm, 1.0)
    return p - lr * trust * u, m, v


@rule(paper="Ginsburg et al. 2019, arXiv:1905.11286, Algorithm 1", title="NovoGrad")
def novograd(
    p,
    g,
    m,
    v: Number,
    *,
    t,
    lr: Rate = 1e-2,
    beta1: Beta1 = 0.95,
    beta2: Beta2 = 0.98,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 1e-3,
):
    """Momentum of gradients, each tensor's divided by one number: the root of its average squared norm."""
    g_squared = (g**2).sum()
    v = where(t == 1, g_squared, beta2 * v + (1 - beta2) * g_squared)
    m = beta1 * m + (g / (sqrt(v) + eps) + weight_decay * p)
    return p - lr * m, m, v


@rule(paper="Wortsman et al. 2023, arXiv:2304.13013, Algorithm 2", title="StableAdamW")
def stable_adamw(
    p,
    g,
    m,
    v: Annotated[Any, at_least(0)],
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.99,
    eps: Epsilon = 1e-6,
    weight_decay: WeightDecay = 1e-2,
):
    """AdamW with Adafactor's clipping: the rate falls where a tensor's gradients outgrow their second moment."""
    beta1_hat = beta1 * (1 - beta1 ** (t - 1)) / (1 - beta1**t)
    beta2_hat = beta2 * (1 - beta2 ** (t - 1)) / (1 - beta2**t)
    m = beta1_hat * m + (1 - beta1_hat) * g
    v = beta2_hat * v + (1 - beta2_hat) * g**2
    rms = sqrt((g**2 / maximum(v, eps**2)).mean())
    eta = lr / maximum(rms, 1.0)
    return p - eta * weight_decay * p - eta * m / (v.sqrt() + eps), m, v


@rule(paper="Zhang et al. 2024, arXiv:2406.16793, Algorithm 1 with a block a tensor")
def adam_mini_tensor(
    p,
    g,
    m,
    v: Number,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
):
    """Adam with one second moment for a whole tensor, the mean square of its gradients."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g**2).mean()
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (sqrt(v_hat) + eps), m, v


@rule(
    paper="Zhang et al. 2024, arXiv:2406.16793, Algorithm 1 with a block a row, as for output neurons and tokens",
    otherwise=adam_mini_tensor,
    flat=True,
)
def adam_mini(
    p,
    g,
    m,
    v: Annotated[Any, shaped("rows", 1)],
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
):
    """Adam with one second moment a row of a matrix (an output neuron, a token, a filter) and one for a vector."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g**2).mean(-1, keepdim=True)
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (v_hat.sqrt() + eps), m, v
