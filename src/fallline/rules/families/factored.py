"""Second moments kept as a row's and a column's worth of numbers: the memory of a vector for a matrix."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Epsilon, Fixed, Rate, SgdRate, at_least, at_most, log
from ..ops import maximum, minimum, numel, sqrt
from ..rule import rule, shaped

Rows = Annotated[Any, shaped("rows", 1)]
Columns = Annotated[Any, shaped(1, "columns")]
AdafactorRate = Annotated[float, at_least(0), log(1e-3, 1)]
Beta2Decay = Annotated[float, at_most(0)]
Clip = Annotated[float, at_least(1)]


def _rms(u):
    return u.norm() / sqrt(numel(u))


@rule
def _adafactor_vector(
    p,
    g,
    v,
    *,
    t,
    lr: AdafactorRate = 1e-2,
    beta2_decay: Beta2Decay = -0.8,
    eps1: Epsilon = 2**-23,
    eps2: Epsilon = 1e-3,
    d: Clip = 1.0,
    weight_decay: Fixed = 0.0,
):
    """Adafactor with the whole second moment."""
    decay = t**beta2_decay
    alpha = maximum(_rms(p), eps2) * minimum(lr, t**-0.5)
    v = (1 - decay) * v + decay * g**2
    u = g / maximum(v, eps1**2).sqrt()
    return p * (1 - lr * weight_decay) - alpha * u / maximum(_rms(u) / d, 1.0), v


@rule(paper="Shazeer & Stern 2018, arXiv:1804.04235, Algorithm 4; epsilon as in PyTorch", otherwise=_adafactor_vector)
def adafactor(
    p,
    g,
    r: Rows,
    c: Columns,
    *,
    t,
    lr: AdafactorRate = 1e-2,
    beta2_decay: Beta2Decay = -0.8,
    eps1: Epsilon = 2**-23,
    eps2: Epsilon = 1e-3,
    d: Clip = 1.0,
    weight_decay: Fixed = 0.0,
):
    """Second moments of rows and columns alone, and a rate relative to the size of the parameter."""
    decay = t**beta2_decay
    alpha = maximum(_rms(p), eps2) * minimum(lr, t**-0.5)
    r = (1 - decay) * r + decay * (g**2).mean(-1, keepdim=True)
    c = (1 - decay) * c + decay * (g**2).mean(-2, keepdim=True)
    v = r * c / maximum(r.mean(-2, keepdim=True), eps1)
    u = g / maximum(v, eps1**2).sqrt()
    return p * (1 - lr * weight_decay) - alpha * u / maximum(_rms(u) / d, 1.0), r, c


@rule
def _adafactor_momentum_vector(
    p,
    g,
    m,
    v,
    *,
    t,
    lr: AdafactorRate = 1e-2,
    beta1: Beta1 = 0.9,
    beta2_decay: Beta2Decay = -0.8,
    eps1: Epsilon = 1e-30,
    eps2: Epsilon = 1e-3,
    d: Clip = 1.0,
):
    """Adafactor with momentum and the whole second moment."""
    decay = t**beta2_decay
    alpha = maximum(_rms(p), eps2) * minimum(lr, t**-0.5)
    v = (1 - decay) * v + decay * (g**2 + eps1)
    u = g / v.sqrt()
    m = beta1 * m + (1 - beta1) * alpha * u / maximum(_rms(u) / d, 1.0)
    return p - m, m, v


@rule(
    paper="Shazeer & Stern 2018, arXiv:1804.04235, Algorithms 4 and 5, with the momentum of the authors' code",
    otherwise=_adafactor_momentum_vector,
)
def adafactor_momentum(
    p,
    g,
    m,
    r: Rows,
    c: Columns,
    *,
    t,
    lr: AdafactorRate = 1e-2,
    beta1: Beta1 = 0.9,
    beta2_decay: Beta2Decay = -0.8,
    eps1: Epsilon = 1e-30,
    eps2: Epsilon = 1e-3,
    d: Clip = 1.0,
):
    """Adafactor in the paper's own form, with an average of its steps."""
    decay = t**beta2_decay
    alpha = maximum(_rms(p), eps2) * minimum(lr, t**-0.5)
    r = (1 - decay) * r + decay * (g**2 + eps1).mean(-1, keepdim=True)
    c = (1 - decay) * c + decay * (g**2 + eps1).mean(-2, keepdim=True)
    u = g / (r / r.mean(-2, keepdim=True) * c).sqrt()
    m = beta1 * m + (1 - beta1) * alpha * u / maximum(_rms(u) / d, 1.0)
    return p - m, m, r, c


@rule
def _came_vector(
    p,
    g,
    m,
    v,
    *,
    t,
    lr: Rate = 2e-4,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    eps1: Epsilon = 1e-30,
    d: Clip = 1.0,
):
    """CAME with the whole second moment, and no confidence."""
    v = beta2 * v + (1 - beta2) * (g**2 + eps1)
    u = g / v.sqrt()
    m = beta1 * m + (1 - beta1) * u / maximum(_rms(u) / d, 1.0)
    return p - lr * m, m, v


@rule(paper="Luo et al. 2023, arXiv:2307.02047, Algorithm 2", title="CAME", otherwise=_came_vector)
def came(
    p,
    g,
    m,
    r: Rows,
    c: Columns,
    r_res: Rows,
    c_res: Columns,
    *,
    t,
    lr: Rate = 2e-4,
    beta1: Beta1 = 0.9,
    beta2: Beta2 = 0.999,
    beta3: Beta2 = 0.9999,
    eps1: Epsilon = 1e-30,
    eps2: Epsilon = 1e-16,
    d: Clip = 1.0,
):
    """Adafactor's step averaged, and shortened where it strays from its average: its confidence, factored too."""
    r = beta2 * r + (1 - beta2) * (g**2 + eps1).mean(-1, keepdim=True)
    c = beta2 * c + (1 - beta2) * (g**2 + eps1).mean(-2, keepdim=True)
    u = g / (r / r.mean(-2, keepdim=True) * c).sqrt()
    u_hat = u / maximum(_rms(u) / d, 1.0)
    m = beta1 * m + (1 - beta1) * u_hat
    residual = (u_hat - m) ** 2 + eps2
    r_res = beta3 * r_res + (1 - beta3) * residual.mean(-1, keepdim=True)
    c_res = beta3 * c_res + (1 - beta3) * residual.mean(-2, keepdim=True)
    s = r_res / r_res.mean(-2, keepdim=True) * c_res
    return p - lr * m / s.sqrt(), m, r, c, r_res, c_res


@rule
def _sm3_vector(p, g, s, *, t, lr: SgdRate = 1e-1, eps: Epsilon = 1e-30):
    """SM3 with a set for every coordinate: Adagrad."""
    s = s + g**2
    return p - lr * g / (s + eps).sqrt(), s


@rule(paper="Anil et al. 2019, arXiv:1901.11150, Algorithm SM3-II", title="SM3", otherwise=_sm3_vector, flat=True)
def sm3(p, g, r: Rows, c: Columns, *, t, lr: SgdRate = 1e-1, eps: Epsilon = 1e-30):
    """Adagrad on a cover by rows and columns: a coordinate's sum is the lesser of its row's and its column's."""
    nu = minimum(r, c) + g**2
    r = nu.amax(-1, keepdim=True)
    c = nu.amax(-2, keepdim=True)
    return p - lr * g / (nu + eps).sqrt(), r, c
