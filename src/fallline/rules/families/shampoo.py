"""Preconditioners for rows and for columns, from the gradient's second moments: Shampoo and SOAP."""

from __future__ import annotations

from typing import Annotated, Any

from ..hyper import Beta1, Beta2, Count, Epsilon, Rate, SgdRate, at_least
from ..matrices import eigenbasis, gram, inverse_root, refreshed, reordered, times, two_sided, two_sided_transposed
from ..modifiers import decoupled
from ..ops import maximum, sqrt, when
from ..rule import initial, rule, shaped
from .adam import adam

Left = Annotated[Any, shaped("rows", "rows", limit="max_precondition_dim")]
Right = Annotated[Any, shaped("columns", "columns", limit="max_precondition_dim")]
LeftBasis = Annotated[Any, initial("eye"), shaped("rows", "rows", limit="max_precondition_dim")]
RightBasis = Annotated[Any, initial("eye"), shaped("columns", "columns", limit="max_precondition_dim")]


@rule
def _shampoo_vector(p, g, s, *, t, lr: SgdRate = 1e-1, eps: Epsilon = 1e-6):
    """Shampoo with a diagonal: Adagrad."""
    s = s + g**2
    return p - lr * g / (s + eps).sqrt(), s


@rule(paper="Gupta et al. 2018, arXiv:1802.09568, Algorithm 1", otherwise=_shampoo_vector, flat=True)
def shampoo(
    p,
    g,
    left: Left,
    right: Right,
    l_root: LeftBasis,
    r_root: RightBasis,
    *,
    t,
    lr: SgdRate = 1e-1,
    eps: Epsilon = 1e-6,
    precondition_frequency: Count = 1,
    max_precondition_dim: Count = 2048,
):
    """The gradient between the inverse fourth roots of its summed second moments, of rows and of columns."""
    left = left + gram(g, left)
    right = right + gram(g.mT, right)
    due = (t - 1) % precondition_frequency == 0
    l_root = when(due, inverse_root(left, 4, eps), l_root)
    r_root = when(due, inverse_root(right, 4, eps), r_root)
    return p - lr * two_sided(l_root, g, r_root), left, right, l_root, r_root


@rule(otherwise=adam, flat=True)
def _soap(
    p,
    g,
    m,
    v: Annotated[Any, at_least(0)],
    left: Left,
    right: Right,
    q_l: LeftBasis,
    q_r: RightBasis,
    *,
    t,
    lr: Rate = 3e-3,
    beta1: Beta1 = 0.95,
    beta2: Beta2 = 0.95,
    shampoo_beta: Beta2 = 0.95,
    eps: Epsilon = 1e-8,
    precondition_frequency: Count = 10,
    max_precondition_dim: Count = 2048,
):
    """Adam in the eigenbasis of Shampoo's second moments; the first step only finds it."""
    first, k = t == 1, maximum(t - 1, 1)
    g_rotated = two_sided_transposed(q_l, g, q_r)
    m = when(first, m, beta1 * m + (1 - beta1) * g)
    v_next = when(first, v, beta2 * v + (1 - beta2) * g_rotated**2)
    n = two_sided(q_l, two_sided_transposed(q_l, m, q_r) / (v_next.sqrt() + eps), q_r)
    p = when(first, p, p - lr * sqrt(1 - beta2**k) / (1 - beta1**k) * n)
    left = shampoo_beta * left + (1 - shampoo_beta) * gram(g, left)
    right = shampoo_beta * right + (1 - shampoo_beta) * gram(g.mT, right)
    lq, rq = times(left, q_l), times(right, q_r)
    due = (t - 1) % precondition_frequency == 0
    v = when(due, reordered(reordered(v_next, q_l, lq).mT, q_r, rq).mT, v_next)
    q_l = when(first, eigenbasis(left), when(due, refreshed(q_l, lq), q_l))
    q_r = when(first, eigenbasis(right), when(due, refreshed(q_r, rq), q_r))
    return p, m, v, left, right, q_l, q_r


soap = decoupled(
    _soap,
    name="soap",
    title="SOAP",
    paper="Vyas et al. 2024, arXiv:2409.11321, Algorithms 3 and 4, as in the authors' code",
    summary="Adam in the eigenbasis of Shampoo's second moments, and AdamW for all that is no matrix.",
)
