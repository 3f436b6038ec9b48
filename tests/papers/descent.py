"""Momentum."""

from __future__ import annotations

import numpy as np

from . import Array, paper


@paper
def classical_momentum(x: Array, gradients: list[Array], lr: float, momentum: float) -> list[Array]:
    velocity, path = np.zeros_like(x), []
    for gradient in gradients:
        velocity = momentum * velocity - lr * gradient
        x = x + velocity
        path.append(x)
    return path


@paper
def nesterov_lookahead(x: Array, gradients: list[Array], lr: float, momentum: float) -> list[Array]:
    """Sutskever's equations 3 and 4 on the iterate theta; what the optimizer holds is theta + mu * v, where g is."""
    theta, velocity, path = x, np.zeros_like(x), []
    for gradient in gradients:
        velocity = momentum * velocity - lr * gradient
        theta = theta + velocity
        path.append(theta + momentum * velocity)
    return path


@paper
def sgdw(x: Array, gradients: list[Array], lr: float, momentum: float, weight_decay: float, **_: float) -> list[Array]:
    velocity, path = np.zeros_like(x), []
    for gradient in gradients:
        velocity = momentum * velocity + lr * gradient
        x = x - velocity - lr * weight_decay * x
        path.append(x)
    return path
