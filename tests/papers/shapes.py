"""What the papers of matrices share: how a tensor is a matrix, Adam for what is none, and random draws."""

from __future__ import annotations

import numpy as np
import torch

from fallline.rules import ops

from . import Array


def as_matrix(x: Array) -> Array:
    """A tensor of two dimensions or more as rows of its first."""
    return x.reshape(x.shape[0], -1)


def drawn(x: Array, t: int, seed: float, stream: str) -> Array:
    """The rule's own draw: what is compared is what is done with it."""
    return ops.normal(torch.empty(x.shape, dtype=torch.float64), t, seed, stream).numpy()


def adam_path(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float, weight_decay: float
) -> list[Array]:
    first, second, path = 0.0, 0.0, []
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        x = x - lr * weight_decay * x
        x = x - lr * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + eps)
        path.append(x)
    return path
