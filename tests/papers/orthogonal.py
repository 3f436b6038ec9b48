"""Momentum made orthogonal."""

from __future__ import annotations

import numpy as np

from . import Array, paper
from .shapes import adam_path, as_matrix


def newton_schulz(x: Array) -> Array:
    """Jordan's five steps, written by singular values: every one of them goes through the polynomial."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    s = s / np.linalg.norm(x)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u * s @ vt


@paper
def adamuon(
    x: Array,
    gradients: list[Array],
    lr: float,
    momentum: float,
    eps: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
) -> list[Array]:
    if x.ndim < 2:
        return adam_path(x, gradients, lr, beta1, beta2, eps, weight_decay)
    average, square, path = 0.0, 0.0, []
    for gradient in gradients:
        average = momentum * average + as_matrix(gradient)
        o = newton_schulz(np.sign(average))
        square = momentum * square + (1 - momentum) * o * o
        o = o / (np.sqrt(square) + eps)
        gamma = 0.2 * np.sqrt(x.size) / (np.linalg.norm(o) + eps)
        x = x - lr * (gamma * o.reshape(x.shape) + weight_decay * x)
        path.append(x)
    return path
