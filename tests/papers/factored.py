"""Second moments of rows and columns."""

from __future__ import annotations

import numpy as np

from . import Array, paper
from .shapes import as_matrix


@paper
def sm3(x: Array, gradients: list[Array], lr: float, eps: float) -> list[Array]:
    """Algorithm SM3-II with the sets stated one by one: rows and columns, or every coordinate of a vector."""
    where = np.arange(x.size).reshape(x.shape if x.ndim < 2 else as_matrix(x).shape)
    sets = list(where.reshape(-1, 1)) if x.ndim < 2 else [*where, *where.T]
    sums, flat, path = np.zeros(len(sets)), x.ravel(), []
    for gradient in gradients:
        nu = np.array([min(s for s, members in zip(sums, sets, strict=True) if i in members) for i in range(x.size)])
        nu = nu + gradient.ravel() ** 2
        sums = np.array([nu[members].max() for members in sets])
        flat = flat - lr * gradient.ravel() / np.sqrt(nu + eps)
        path.append(flat.reshape(x.shape))
    return path
