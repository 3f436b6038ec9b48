"""Second moments of rows and columns."""

from __future__ import annotations

import numpy as np

from . import Array, paper
from .shapes import as_matrix


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2)))


@paper
def adafactor_momentum(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2_decay: float,
    eps1: float,
    eps2: float,
    d: float,
) -> list[Array]:
    """Shazeer & Stern, Algorithms 4 (matrices: sums of rows and columns) and 5 (vectors); an average of the steps."""
    rows, columns, whole, average, path = 0.0, 0.0, 0.0, np.zeros_like(x), []
    for t, gradient in enumerate(gradients, 1):
        kept = 1 - t**beta2_decay
        rate = max(eps2, _rms(x)) * min(lr, 1 / np.sqrt(t))
        square = gradient**2 + eps1
        if x.ndim < 2:
            second = whole = kept * whole + (1 - kept) * square
        else:
            rows = kept * rows + (1 - kept) * square.sum(-1, keepdims=True)
            columns = kept * columns + (1 - kept) * square.sum(-2, keepdims=True)
            second = rows * columns / rows.sum(-2, keepdims=True)
        step = gradient / np.sqrt(second)
        step = step / max(1.0, _rms(step) / d)
        average = beta1 * average + (1 - beta1) * rate * step
        x = x - average
        path.append(x)
    return path


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
