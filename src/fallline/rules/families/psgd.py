"""Preconditioned SGD: a preconditioner fitted to whiten the gradient, by steps on the group of triangular matrices."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Count, Fixed, Rate, Seed, at_least, log
from ..matrices import balanced, gram, norm_bound, solved, times, two_sided, two_sided_transposed, upper
from ..ops import minimum, normal, numel, sqrt, when
from ..rule import exact, initial, rule, shaped

Left = Annotated[Any, initial("eye"), shaped("rows", "rows", limit="max_precondition_dim")]
Right = Annotated[Any, initial("eye"), shaped("columns", "columns", limit="max_precondition_dim")]
Diagonal = Annotated[Any, initial(1.0), exact]
FitRate = Annotated[float, at_least(0), log(1e-2, 1)]
TINY = 1.2e-38
BALANCE = 100
"""Steps after which the two factors' sizes, of which only the product matters, are brought together."""


def _trusted(u, max_rms):
    return u * minimum(max_rms / (u.norm() / sqrt(numel(u)) + 1e-6), 1.0)


@rule
def _psgd_vector(
    p,
    g,
    m,
    q: Diagonal,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    precondition_lr: FitRate = 0.1,
    precondition_frequency: Count = 1,
    max_rms: Fixed = 1.1,
    seed: Seed = 0,
):
    """PSGD with a diagonal preconditioner."""
    m = beta1 * m + (1 - beta1) * g
    m_hat = m / (1 - beta1**t)
    a, b = (q * m_hat) ** 2, (normal(m_hat, t, seed, "psgd") / q) ** 2
    q_next = q - precondition_lr / ((a + b).max() + TINY) * (a - b) * q
    q = when((t - 1) % precondition_frequency == 0, q_next, q)
    return p - lr * _trusted(q**2 * m_hat, max_rms), m, q


@rule(
    paper="Li 2024, arXiv:2402.11858, section V, with triangular Kronecker factors, and the momentum and bound of the "
    "author's Kron",
    title="PSGD",
    otherwise=_psgd_vector,
    flat=True,
)
def psgd(
    p,
    g,
    m,
    q_l: Left,
    q_r: Right,
    *,
    t,
    lr: Rate = 1e-3,
    beta1: Beta1 = 0.9,
    precondition_lr: FitRate = 0.1,
    precondition_frequency: Count = 1,
    max_precondition_dim: Count = 2048,
    max_rms: Fixed = 1.1,
    seed: Seed = 0,
):
    """Momentum times P = Q^T Q, Q a Kronecker product of triangular factors that are fitted to whiten it."""
    m = beta1 * m + (1 - beta1) * g
    m_hat = m / (1 - beta1**t)
    s_l = when(t % BALANCE == 0, balanced(q_l, q_r), q_l)
    s_r = when(t % BALANCE == 0, balanced(q_r, q_l), q_r)
    a = two_sided(s_l, m_hat, s_r)
    b = solved(s_r, solved(s_l, normal(m_hat, t, seed, "psgd")).mT).mT
    a_l, b_l, a_r, b_r = gram(a, s_l), gram(b, s_l), gram(a.mT, s_r), gram(b.mT, s_r)
    next_l = s_l - precondition_lr / (norm_bound(a_l + b_l) + TINY) * times(upper(a_l - b_l), s_l)
    next_r = s_r - precondition_lr / (norm_bound(a_r + b_r) + TINY) * times(upper(a_r - b_r), s_r)
    due = (t - 1) % precondition_frequency == 0
    q_l = when(due, next_l, s_l)
    q_r = when(due, next_r, s_r)
    u = two_sided_transposed(q_l, two_sided(q_l, m_hat, q_r), q_r)
    return p - lr * _trusted(u, max_rms), m, q_l, q_r
