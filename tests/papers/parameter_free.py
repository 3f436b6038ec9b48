"""Estimates of the distance to the solution; all parameters are one vector."""

from __future__ import annotations

import math

import numpy as np

from . import Array, paper


@paper
def dadapt_sgd(
    x: Array, gradients: list[Array], lr: float, momentum: float, weight_decay: float, d0: float
) -> list[Array]:
    """Defazio & Mishchenko, Algorithm 4: G is the first gradient's norm, d doubles the sum of weighted products."""
    z, weighted, distance, products, path = x, np.zeros_like(x), d0, 0.0, []
    for given in gradients:
        gradient = given + weight_decay * x
        rate = distance * lr / np.linalg.norm(gradients[0])
        products += rate * np.dot(gradient, weighted)
        weighted = weighted + rate * gradient
        z = z - rate * gradient
        x = momentum * x + (1 - momentum) * z
        distance = max(distance, 2 * products / np.linalg.norm(weighted))
        path.append(x)
    return path


@paper
def prodigy(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    d0: float,
    d_coef: float,
) -> list[Array]:
    """Mishchenko & Defazio, Algorithm 4; decoupled decay and `d_coef` are of the authors' code."""
    start, distance, path, root = x, d0, [], math.sqrt(beta2)
    first, second, along, weighted = np.zeros_like(x), np.zeros_like(x), 0.0, np.zeros_like(x)
    for gradient in gradients:
        first = beta1 * first + (1 - beta1) * distance * gradient
        second = beta2 * second + (1 - beta2) * distance**2 * gradient**2
        along = root * along + (1 - root) * lr * distance**2 * np.dot(gradient, start - x)
        weighted = root * weighted + (1 - root) * lr * distance**2 * gradient
        x = x - lr * distance * weight_decay * x - lr * distance * first / (np.sqrt(second) + distance * eps)
        distance = max(distance, d_coef * along / np.abs(weighted).sum())
        path.append(x)
    return path
