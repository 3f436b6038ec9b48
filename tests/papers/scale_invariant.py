"""Steps without their radial part."""

from __future__ import annotations

import numpy as np

from . import Array, paper
from .shapes import adam_path, as_matrix


@paper
def adamp(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    delta: float,
    wd_ratio: float,
) -> list[Array]:
    """Heo et al., Algorithm 2 with equation 10 for each row, else for the tensor; epsilons as in the authors' code."""
    if x.ndim < 2:
        return adam_path(x, gradients, lr, beta1, beta2, eps, weight_decay)
    first, second, path = np.zeros_like(x), np.zeros_like(x), []
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        step = first / (1 - beta1**t) / (np.sqrt(second / (1 - beta2**t)) + eps)
        decay = weight_decay
        for shape in (as_matrix(x).shape, (1, x.size)):
            weights, slopes = x.reshape(shape), gradient.reshape(shape)
            if max(_cosine(w, g, eps) for w, g in zip(weights, slopes, strict=True)) < delta / np.sqrt(shape[1]):
                units = [w / (np.linalg.norm(w) + eps) for w in weights]
                rows = zip(units, step.reshape(shape), strict=True)
                step = np.stack([u - unit * np.dot(unit, u) for unit, u in rows]).reshape(x.shape)
                decay = weight_decay * wd_ratio
                break
        x = x - lr * decay * x - lr * step
        path.append(x)
    return path


def _cosine(a: Array, b: Array, eps: float) -> float:
    return float(abs(np.dot(a, b)) / (max(np.linalg.norm(a), eps) * max(np.linalg.norm(b), eps)))
