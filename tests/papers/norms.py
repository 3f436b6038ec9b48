"""Norms of tensors, and of all parameters."""

from __future__ import annotations

import numpy as np

from . import Array, paper


def _norm(x: Array) -> float:
    return float(np.sqrt((x * x).sum()))


@paper
def lars(
    x: Array, gradients: list[Array], lr: float, momentum: float, weight_decay: float, trust: float
) -> list[Array]:
    """You et al. 2017, Algorithm 1; their global rate is `lr`, their eta is `trust`."""
    velocity, path = np.zeros_like(x), []
    for gradient in gradients:
        local = trust * _norm(x) / (_norm(gradient) + weight_decay * _norm(x))
        velocity = momentum * velocity + lr * local * (gradient + weight_decay * x)
        x = x - velocity
        path.append(x)
    return path


@paper
def lamb(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float, weight_decay: float
) -> list[Array]:
    first, second, path = np.zeros_like(x), np.zeros_like(x), []
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        ratio = first / (1 - beta1**t) / (np.sqrt(second / (1 - beta2**t)) + eps)
        x = x - lr * _norm(x) / _norm(ratio + weight_decay * x) * (ratio + weight_decay * x)
        path.append(x)
    return path


@paper
def adam_mini(x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float) -> list[Array]:
    """Zhang et al.: for each block, Adam with the mean of the squared gradients; a block is x[i], or a whole vector."""
    first, path = np.zeros_like(x), []
    blocks = range(len(x)) if x.ndim > 1 else [...]
    second = dict.fromkeys(blocks, 0.0)
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        x = x.copy()
        for block in blocks:
            second[block] = beta2 * second[block] + (1 - beta2) * np.mean(gradient[block] ** 2)
            corrected = second[block] / (1 - beta2**t)
            x[block] -= lr * first[block] / (1 - beta1**t) / (np.sqrt(corrected) + eps)
        path.append(x)
    return path


@paper
def adam_mini_tensor(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float
) -> list[Array]:
    """Zhang et al., Algorithm 1 with all of a tensor in one block, its second moment an explicit sum over the steps."""
    squares, path = [float((gradient**2).mean()) for gradient in gradients], []
    first = np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = sum((1 - beta2) * beta2 ** (t - k) * square for k, square in enumerate(squares[:t], 1))
        x = x - lr * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + eps)
        path.append(x)
    return path


@paper
def dog(x: Array, gradients: list[Array], lr: float, eps: float, weight_decay: float, reps_rel: float) -> list[Array]:
    """Ivgi et al.: eta_t = max_i |x_i - x_0| / sqrt(sum_i |g_i|^2 + eps) with r_eps for a first distance."""
    path, squares = [x], eps
    first_distance = reps_rel * (1 + _norm(x))
    for given in gradients:
        gradient = given + weight_decay * x
        squares += _norm(gradient) ** 2
        farthest = max(first_distance, *(_norm(iterate - path[0]) for iterate in path))
        x = x - lr * farthest / np.sqrt(squares) * gradient
        path.append(x)
    return path[1:]


@paper
def ldog(x: Array, gradients: list[Array], **settings: float) -> list[Array]:
    return dog(x, gradients, **settings)
