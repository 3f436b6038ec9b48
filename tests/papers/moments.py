"""Second moments."""

from __future__ import annotations

import math

import numpy as np

from . import PAPERS, Array, paper


@paper
def rmsprop_inside(x: Array, gradients: list[Array], lr: float, alpha: float, eps: float) -> list[Array]:
    mean_square, path = np.zeros_like(x), []
    for gradient in gradients:
        mean_square = alpha * mean_square + (1 - alpha) * gradient * gradient
        x = x - lr / np.sqrt(mean_square + eps) * gradient
        path.append(x)
    return path


@paper
def adam_epsilon_hat(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float
) -> list[Array]:
    first, second, path = np.zeros_like(x), np.zeros_like(x), []
    for t, gradient in enumerate(gradients, 1):
        first += (1 - beta1) * (gradient - first)
        second += (1 - beta2) * (gradient**2 - second)
        rate = lr * math.sqrt(1 - math.pow(beta2, t)) / (1 - math.pow(beta1, t))
        x = x - rate * first / (np.sqrt(second) + eps)
        path.append(x)
    return path


@paper
def adam_uncorrected(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float
) -> list[Array]:
    path = []
    for t in range(1, len(gradients) + 1):
        weights1 = [(1 - beta1) * beta1 ** (t - k) for k in range(1, t + 1)]
        weights2 = [(1 - beta2) * beta2 ** (t - k) for k in range(1, t + 1)]
        first = sum(w * g for w, g in zip(weights1, gradients, strict=False))
        second = sum(w * g**2 for w, g in zip(weights2, gradients, strict=False))
        x = x - lr * first / (np.sqrt(second) + eps)
        path.append(x)
    return path


PAPERS["sparse_adam"] = adam_epsilon_hat


@paper
def yogi(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    initial_accumulator_value: float,
) -> list[Array]:
    first, second, path = np.zeros_like(x), np.full_like(x, initial_accumulator_value), []
    for gradient in gradients:
        square = gradient * gradient
        first = beta1 * first + (1 - beta1) * gradient
        second = np.where(second > square, second - (1 - beta2) * square, second + (1 - beta2) * square)
        x = x - lr * first / (np.sqrt(second) + eps)
        path.append(x)
    return path


@paper
def qhadam(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    nu1: float,
    nu2: float,
) -> list[Array]:
    """Ma & Yarats: theta <- theta - alpha [(1 - nu1) g + nu1 g'] / (sqrt((1 - nu2) g^2 + nu2 s') + eps)."""
    path = []
    for t, gradient in enumerate(gradients, 1):
        weights1 = np.array([beta1 ** (t - k) for k in range(1, t + 1)])
        weights2 = np.array([beta2 ** (t - k) for k in range(1, t + 1)])
        first = sum(w * g for w, g in zip(weights1 / weights1.sum(), gradients, strict=False))
        second = sum(w * g**2 for w, g in zip(weights2 / weights2.sum(), gradients, strict=False))
        above = (1 - nu1) * gradient + nu1 * first
        x = x - lr * above / (np.sqrt((1 - nu2) * gradient**2 + nu2 * second) + eps)
        path.append(x)
    return path


@paper
def sophia(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    gamma: float,
    every: float,
    estimates: list[Array] | None = None,
) -> list[Array]:
    """Liu et al., Algorithm 3, its lines 8 to 12; `estimates` are the Hessian's diagonals, of which it reads some."""
    first, curvature, path = np.zeros_like(x), np.zeros_like(x), []
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        if every == 1 or t % every == 1:
            curvature = beta2 * curvature + (1 - beta2) * (estimates[t - 1] if estimates else np.zeros_like(x))
        x = x - lr * np.clip(first / np.maximum(gamma * curvature, eps), -1, 1)
        path.append(x)
    return path


@paper
def adapnm(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float, beta0: float
) -> list[Array]:
    """Xie et al., Algorithm 3: a momentum goes on from the one two steps before."""
    momenta, second, largest, path = [np.zeros_like(x), np.zeros_like(x)], np.zeros_like(x), np.zeros_like(x), []
    for t, gradient in enumerate(gradients, 1):
        momenta.append(beta1**2 * momenta[-2] + (1 - beta1**2) * gradient)
        second = beta2 * second + (1 - beta2) * gradient**2
        largest = np.maximum(largest, second)
        difference = ((1 + beta0) * momenta[-1] - beta0 * momenta[-2]) / (1 - beta1**t)
        rate = lr / math.sqrt((1 + beta0) ** 2 + beta0**2)
        x = x - rate * difference / (np.sqrt(largest / (1 - beta2**t)) + eps)
        path.append(x)
    return path


@paper
def mars(
    x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float, eps: float, gamma: float
) -> list[Array]:
    """Yuan et al., Algorithm 2 with the gradient before on its own batch, the approximate form; it begins at zero."""
    first, second, path = np.zeros_like(x), np.zeros_like(x), []
    for t, (gradient, before) in enumerate(zip(gradients, [np.zeros_like(x), *gradients], strict=False), 1):
        corrected = gradient + gamma * beta1 / (1 - beta1) * (gradient - before)
        length = math.sqrt((corrected**2).sum())
        corrected = corrected / length if length > 1 else corrected
        first = beta1 * first + (1 - beta1) * corrected
        second = beta2 * second + (1 - beta2) * corrected**2
        x = x - lr * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + eps)
        path.append(x)
    return path
