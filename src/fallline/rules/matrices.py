"""Functions of matrices for rules, each traced as one operation: `p - lr * orthogonalized(m)`.

Matrices are the last two dimensions. Every function takes any dimensions before them and treats each matrix alone, so
that parameters of one shape may be stacked. A square state that keeps its diagonal alone (`shaped(..., limit=)`) is a
column, and every function of a square matrix takes such a column for it.

A matrix that is not finite gives NaN, as element-wise operations do, and leaves those stacked with it alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from . import ops
from .ops import traceable

_SMALL = 128
"""Shorter sides are iterated as fast, or faster, in single precision."""
_SHORT = 1 << 14
"""Elements of a matrix that is multiplied as fast however the other one lies."""


@traceable
def orthogonalized(
    x: Tensor, steps: float = 5, a: float = 3.4445, b: float = -4.7750, c: float = 2.0315, eps: float = 1e-7
) -> Tensor:
    """The Newton-Schulz iteration towards the nearest matrix with orthonormal rows or columns (the polar factor U V^T).

    Each of `steps` takes the singular values, first brought below 1, through the polynomial a s + b s^3 + c s^5 (Jordan
    et al. 2024, "Muon: An optimizer for hidden layers in neural networks"). Single precision is iterated in bfloat16,
    as the method's authors do it, where the smaller side has at least 128.
    """
    if not x.numel():
        return x
    y = wide(x)
    shape = y.shape
    dtype = torch.bfloat16 if x.dtype == torch.float32 and shape[-2] >= _SMALL else x.dtype
    y = y.to(dtype, memory_format=torch.contiguous_format).reshape(-1, *shape[-2:])
    y = y / torch.linalg.vector_norm(y, dim=(-2, -1), keepdim=True).clamp(min=eps)
    gram, spare = y.new_empty((*y.shape[:-1], y.shape[-2])), torch.empty_like(y)
    polynomial = torch.empty_like(gram)
    for _ in range(int(steps)):
        torch.bmm(y, y.mT, out=gram)
        torch.baddbmm(gram, gram, gram, beta=b, alpha=c, out=polynomial)
        torch.baddbmm(y, polynomial, y, beta=a, out=spare)
        y, spare = spare, y
    return as_wide(y.reshape(shape).to(x.dtype), x)


@traceable
def wide(x: Tensor) -> Tensor:
    """The matrix, transposed where it has more rows than columns."""
    return x.mT if x.shape[-2] > x.shape[-1] else x


@traceable
def as_wide(y: Tensor, x: Tensor) -> Tensor:
    """What was made of `wide(x)`, transposed back to the shape of `x`."""
    return y.mT if x.shape[-2] > x.shape[-1] else y


def _is_column(s: Tensor) -> bool:
    return s.shape[-1] == 1


@traceable
def gram(x: Tensor, like: Tensor) -> Tensor:
    """X X^T, or its diagonal where `like`, the state that it is added to, keeps a diagonal."""
    return x.square().sum(-1, keepdim=True) if _is_column(like) else x @ x.mT


@traceable
def times(s: Tensor, x: Tensor) -> Tensor:
    """S X of a square matrix, or of a diagonal."""
    return s * x if _is_column(s) else s @ x


@traceable
def two_sided(q: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """Q X R^T: a rectangular matrix between two square ones."""
    x = q * x if _is_column(q) else q @ x
    return x * r.mT if _is_column(r) else x @ r.mT


@traceable
def two_sided_transposed(q: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """Q^T X R: of two bases, the coordinates in them; `two_sided` leads back."""
    x = q * x if _is_column(q) else q.mT @ x
    return x * r.mT if _is_column(r) else x @ r


@traceable
def inverse_root(s: Tensor, power: float, eps: float) -> Tensor:
    """(S + eps I)^(-1/power) of a positive semidefinite matrix: eigenvalues that rounding made negative count as 0."""
    if _is_column(s):
        return (s.clamp(min=0) + eps) ** (-1 / power)
    return _spectral(s, lambda values, q: (q * (values.clamp(min=0) + eps).unsqueeze(-2) ** (-1 / power)) @ q.mT)


@traceable
def eigenbasis(s: Tensor) -> Tensor:
    """The eigenvectors of a symmetric matrix as columns, that of the largest eigenvalue first."""
    return torch.ones_like(s) if _is_column(s) else _spectral(s, lambda _, q: q.flip(-1))


@traceable
def refreshed(q: Tensor, sq: Tensor) -> Tensor:
    """One step of orthogonal iteration: the orthonormal basis of S Q, given too, by falling estimate of eigenvalues.

    Much cheaper than `eigenbasis`, and close to it where S has changed little since Q was its basis.
    """
    return q if _is_column(q) else torch.linalg.qr(reordered(sq.mT, q, sq).mT).Q


@traceable
def reordered(x: Tensor, q: Tensor, sq: Tensor) -> Tensor:
    """The rows of X, which belong to the columns of a basis Q, in the order that `refreshed(q, sq)` gives these."""
    if _is_column(q):
        return x
    order = (q * sq).sum(-2).argsort(stable=True, dim=-1, descending=True)
    if x.dim() > 2:  # places among the rows of all matrices: to gather element by element is far slower
        first = torch.arange(0, order.numel(), order.shape[-1], device=order.device)
        order = order + first.view(*order.shape[:-1], 1)
    return x.reshape(-1, x.shape[-1]).index_select(0, order.flatten()).view(x.shape)


@traceable
def leading(x: Tensor, q: Tensor) -> Tensor:
    """The first left singular vectors of X, as many as `q` has columns, the largest entry of each positive."""
    basis = eigenbasis(x @ x.mT)[..., : q.shape[-1]] if x.shape[-2] > 1 else torch.ones_like(q)
    largest = basis.abs().argmax(-2, keepdim=True)
    return basis * basis.take_along_dim(largest, -2).sign()


@traceable
def projection(like: Tensor, t: float, seed: float, stream: str) -> Tensor:
    """A random matrix in the shape of `like`, normal of variance 1/columns; drawn as told at `ops.normal`."""
    drawn: Tensor = ops.normal(like, t, seed, stream)
    return drawn / math.sqrt(like.shape[-1])


@traceable
def projected(q: Tensor, x: Tensor) -> Tensor:
    """Q^T X, of X as `wide(x)`: the coordinates of its columns in the few columns of Q."""
    return _laid_out(q.mT, x) @ x.mT if x.shape[-2] > x.shape[-1] else q.mT @ x


@traceable
def lifted(q: Tensor, x: Tensor, like: Tensor) -> Tensor:
    """Q X, transposed where `like` has more rows than columns: back from a projection of `wide(like)`."""
    return _laid_out(x.mT, like) @ q.mT if like.shape[-2] > like.shape[-1] else q @ x


def _laid_out(few: Tensor, whole: Tensor) -> Tensor:
    """A few rows, one after another in memory: of a large transposed matrix they take a third of the time then."""
    return few.contiguous() if whole.numel() > _SHORT else few


@traceable
def upper(s: Tensor) -> Tensor:
    """The upper triangle of a square matrix, its diagonal included."""
    return s if _is_column(s) else s.triu()


@traceable
def balanced(q: Tensor, r: Tensor) -> Tensor:
    """Q, its largest entry made the geometric mean of its own and that of R."""
    largest = [s.abs().amax((-2, -1), keepdim=True) for s in (q, r)]
    return q * (largest[1] / largest[0]).sqrt()


@traceable
def solved(q: Tensor, x: Tensor) -> Tensor:
    """Q^-T X for an upper triangular Q."""
    return x / q if _is_column(q) else torch.linalg.solve_triangular(q.mT, x, upper=False)


@traceable
def norm_bound(s: Tensor) -> Tensor:
    """A cheap lower bound of the spectral norm of a symmetric matrix, within a few percent of it as a rule.

    The length of S x for the unit vector x along S times its longest row (Li's psgd_torch).
    """
    largest = s.abs().amax((-2, -1), keepdim=True)
    if _is_column(s):
        return largest
    s = s / largest.clamp(min=torch.finfo(s.dtype).tiny)
    longest = s.square().sum(-1).argmax(-1)[..., None, None]
    x = s @ s.take_along_dim(longest, -2).mT
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(s.dtype).tiny)
    bound: Tensor = largest * torch.linalg.vector_norm(s @ x, dim=(-2, -1), keepdim=True)
    return bound


def _spectral(s: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The function of a symmetric matrix's eigenvalues, rising, and eigenvectors."""
    finite = s.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    eye = torch.eye(s.shape[-1], dtype=s.dtype, device=s.device)
    safe = torch.where(finite, s, eye)
    try:
        values, q = torch.linalg.eigh(safe)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # of clustered eigenvalues: more digits part them
        values, q = (part.to(s.dtype) for part in torch.linalg.eigh(safe.double()))
    return torch.where(finite, function(values, q), torch.nan)
