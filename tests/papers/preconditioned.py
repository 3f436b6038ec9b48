"""Preconditioners of rows and of columns."""

from __future__ import annotations

import numpy as np

from . import Array, paper
from .shapes import adam_path, as_matrix, drawn


def power(s: Array, exponent: float) -> Array:
    values, q = np.linalg.eigh(s)
    return q @ np.diag(values**exponent) @ q.T


@paper
def shampoo(
    x: Array, gradients: list[Array], lr: float, eps: float, precondition_frequency: float, **_: float
) -> list[Array]:
    path = []
    if x.ndim < 2:
        diagonal = np.full_like(x, eps)
        for gradient in gradients:
            diagonal = diagonal + gradient**2
            x = x - lr * gradient / np.sqrt(diagonal)
            path.append(x)
        return path
    rows, columns = as_matrix(x).shape
    left, right = eps * np.eye(rows), eps * np.eye(columns)
    for t, gradient in enumerate(gradients):
        g = as_matrix(gradient)
        left, right = left + g @ g.T, right + g.T @ g
        if t % precondition_frequency == 0:
            roots = power(left, -1 / 4), power(right, -1 / 4)
        x = x - lr * (roots[0] @ g @ roots[1]).reshape(x.shape)
        path.append(x)
    return path


@paper
def soap(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    shampoo_beta: float,
    precondition_frequency: float,
    weight_decay: float,
    **_: float,
) -> list[Array]:
    """Algorithm 3, with the first step and the order of eigenvectors of the authors' code."""
    if x.ndim < 2:
        return adam_path(x, gradients, lr, beta1, beta2, eps, weight_decay)
    keep, decay = shampoo_beta, 1 - lr * weight_decay
    first = as_matrix(gradients[0])
    left, right = (1 - keep) * first @ first.T, (1 - keep) * first.T @ first
    bases = [np.linalg.eigh(s)[1][:, ::-1] for s in (left, right)]
    m = v = np.zeros_like(first)
    x = x * decay
    path = [x]
    for t, gradient in enumerate(gradients[1:], 1):
        g = as_matrix(gradient)
        rotated = bases[0].T @ g @ bases[1]
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * rotated**2
        n = (bases[0].T @ m @ bases[1]) / (np.sqrt(v) + eps)
        rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        x = x * decay - rate * (bases[0] @ n @ bases[1].T).reshape(x.shape)
        left, right = keep * left + (1 - keep) * g @ g.T, keep * right + (1 - keep) * g.T @ g
        if t % precondition_frequency == 0:
            orders = [np.argsort(-np.diag(q.T @ s @ q)) for q, s in zip(bases, (left, right), strict=True)]
            v = v[orders[0]][:, orders[1]]
            ranked = [s @ q[:, order] for s, q, order in zip((left, right), bases, orders, strict=True)]
            bases = [np.linalg.qr(s)[0] for s in ranked]
        path.append(x)
    return path


def norm_bound(s: Array) -> float:
    longest = s[np.argmax(np.sum(s**2, axis=1))]
    direction = s @ longest
    return float(np.linalg.norm(s @ (direction / np.linalg.norm(direction))))


def trusted(u: Array, max_rms: float) -> Array:
    return u * min(max_rms / (np.sqrt(np.mean(u**2)) + 1e-6), 1.0)


def fitted(factors: list[Array], g: Array, v: Array, rate: float) -> list[Array]:
    """The triangular factors after a step from the pair (Q g, Q^-T v)."""
    left, right = factors
    a, b = left @ g @ right.T, np.linalg.inv(left).T @ v @ np.linalg.inv(right)
    pairs = [(a @ a.T, b @ b.T), (a.T @ a, b.T @ b)]
    return [q - rate * np.triu(aa - bb) / norm_bound(aa + bb) @ q for q, (aa, bb) in zip(factors, pairs, strict=True)]


@paper
def psgd(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    precondition_lr: float,
    precondition_frequency: float,
    max_rms: float,
    seed: float,
    **_: float,
) -> list[Array]:
    average, q, path = 0.0, np.ones_like(x), []
    factors = [np.eye(side) for side in as_matrix(x).shape] if x.ndim > 1 else []
    for t, gradient in enumerate(gradients, 1):
        average = beta1 * average + (1 - beta1) * gradient
        g, due = average / (1 - beta1**t), (t - 1) % precondition_frequency == 0
        if x.ndim < 2:
            if due:
                a, b = (q * g) ** 2, (drawn(x, t, seed, "psgd") / q) ** 2
                q = q - precondition_lr * q * (a - b) / np.max(a + b)
            x = x - lr * trusted(q * q * g, max_rms)
        else:
            g = as_matrix(g)
            if due:
                factors = fitted(factors, g, drawn(g, t, seed, "psgd"), precondition_lr)
            left, right = (factor.T @ factor for factor in factors)
            x = x - lr * trusted(left @ g @ right, max_rms).reshape(x.shape)
        path.append(x)
    return path
