"""Adam and its family."""

from __future__ import annotations

from typing import Annotated

from ..composition import named
from ..hyper import Beta1, Beta2, Epsilon, Fixed, Rate
from ..modifiers import amsgrad as with_maximum
from ..modifiers import centralize, decoupled, lookahead
from ..ops import maximum, sqrt, where
from ..rule import carried, rule


@rule(paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1")
def adam(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
    """The average gradient over the root of the average squared gradient, both corrected for their start at zero."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (v_hat.sqrt() + eps), m, v


@rule(paper="Kingma & Ba 2015, arXiv:1412.6980, section 2")
def adam_epsilon_hat(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
    """Adam with the corrections absorbed in the rate; `eps` is the paper's epsilon-hat."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    alpha = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    return p - alpha * m / (v.sqrt() + eps), m, v


@rule(paper="Kingma & Ba 2015, arXiv:1412.6980, section 6.4")
def adam_uncorrected(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
    """Adam without bias correction: its first steps are too long."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return p - lr * m / (v.sqrt() + eps), m, v


sparse_adam = named(
    adam_epsilon_hat,
    "sparse_adam",
    title="SparseAdam",
    summary="Adam for sparse gradients: rows that a gradient does not name keep their moments.",
)

amsgrad = with_maximum(
    adam,
    name="amsgrad",
    title="AMSGrad",
    paper="Reddi et al. 2018, arXiv:1904.09237, Algorithm 2, with Adam's corrections",
    summary="Adam with the largest second moment so far.",
)

adamw = decoupled(
    adam,
    name="adamw",
    title="AdamW",
    paper="Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2",
    summary="Adam with decoupled weight decay.",
)


@rule(paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2; epsilon as in PyTorch")
def adamax(p, g, m, u, *, t, lr: Rate = 2e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
    """Adam with the infinity norm in place of the second moment."""
    m = beta1 * m + (1 - beta1) * g
    u = maximum(beta2 * u, g.abs() + eps)
    return p - lr / (1 - beta1**t) * m / u, m, u


@rule(paper="Dozat 2016, Algorithm 8, with the momentum schedule of section 3", title="NAdam")
def nadam(
    p,
    g,
    m,
    v,
    mu_product: Annotated[float, carried(1.0)],
    *,
    t,
    lr: Rate = 2e-3,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps: Epsilon = 1e-8,
    momentum_decay: Fixed = 4e-3,
):
    """Adam with Nesterov's look-ahead."""
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    mu_product = mu_product * mu
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = mu_next / (1 - mu_product * mu_next) * m + (1 - mu) / (1 - mu_product) * g
    v_hat = v / (1 - beta2**t)
    return p - lr * m_hat / (v_hat.sqrt() + eps), m, v, mu_product


@rule(paper="Liu et al. 2020, arXiv:1908.03265, Algorithm 2; rectified from rho > 5, as in PyTorch", title="RAdam")
def radam(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
    """Adam whose rate is rectified for the variance of the second moment; plain momentum while that is unbounded."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    step = where(rho > 5, r * sqrt(1 - beta2**t) / (v.sqrt() + eps), 1.0)
    return p - lr * m_hat * step, m, v


ranger = lookahead(
    centralize(radam),
    name="ranger",
    paper="Wright 2019, Ranger: Liu et al. 2020, arXiv:1908.03265, Algorithm 2, inside Zhang et al. 2019, "
    "arXiv:1907.08610, Algorithm 1, with the centralization of Yong et al. 2020, arXiv:2004.01461, equation 1",
    summary="RAdam on centered gradients, and every few steps a part of the way back to slow weights.",
    beta1=0.95,
    eps=1e-5,
    lookahead_steps=6,
)
