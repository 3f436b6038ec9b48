"""Moments of a projected gradient."""

from __future__ import annotations

import numpy as np

from . import Array, paper
from .shapes import adam_path, as_matrix, drawn


@paper
def galore(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    rank: float,
    update_proj_gap: float,
    scale: float,
    weight_decay: float,
) -> list[Array]:
    if x.ndim < 2:
        return adam_path(x, gradients, lr, beta1, beta2, eps, weight_decay)
    rows, columns = as_matrix(x).shape
    m, v, path = 0.0, 0.0, []
    for t, gradient in enumerate(gradients, 1):
        g = as_matrix(gradient)
        if (t - 1) % update_proj_gap == 0:
            u, _, vt = np.linalg.svd(g, full_matrices=False)
            basis = (u if rows <= columns else vt.T)[:, : int(rank)]
            # a singular vector has two signs; the rule takes the one whose largest entry is positive
            basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(basis.shape[1])])
        r = basis.T @ g if rows <= columns else g @ basis
        m = beta1 * m + (1 - beta1) * r
        v = beta2 * v + (1 - beta2) * r**2
        n = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        full = basis @ n if rows <= columns else n @ basis.T
        x = x * (1 - lr * weight_decay) - lr * scale * full.reshape(x.shape)
        path.append(x)
    return path


@paper
def apollo_adamw(
    x: Array,
    gradients: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    rank: float,
    update_proj_gap: float,
    scale: float,
    growth: float,
    seed: float,
    weight_decay: float,
) -> list[Array]:
    if x.ndim < 2:
        return adam_path(x, gradients, lr, beta1, beta2, eps, weight_decay)
    rows, columns = as_matrix(x).shape
    m, v, last, path = 0.0, 0.0, 0.0, []
    for t, gradient in enumerate(gradients, 1):
        g = as_matrix(gradient) if rows <= columns else as_matrix(gradient).T
        height = min(int(rank), *g.shape)
        p = drawn(np.empty((len(g), height)), (t - 1) // update_proj_gap, seed, "apollo") / np.sqrt(height)
        r = p.T @ g
        m = beta1 * m + (1 - beta1) * r
        v = beta2 * v + (1 - beta2) * r**2
        r_tilde = (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        scaled = g @ np.diag(np.linalg.norm(r_tilde, axis=0) / (np.linalg.norm(r, axis=0) + eps))
        length = np.linalg.norm(scaled)
        if last and length / last > growth:
            scaled = scaled / length * growth * last
        last = np.linalg.norm(scaled)
        step = scaled if rows <= columns else scaled.T
        x = x * (1 - lr * weight_decay) - lr * scale * step.reshape(x.shape)
        path.append(x)
    return path
