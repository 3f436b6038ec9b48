"""Signs of gradients."""

from __future__ import annotations

import math

import numpy as np

from . import Array, paper


@paper
def powersign(x: Array, gradients: list[Array], lr: float, beta: float, strength: float) -> list[Array]:
    average, path = np.zeros_like(x), []
    for gradient in gradients:
        average = beta * average + (1 - beta) * gradient
        x = x - lr * np.power(math.e, strength * np.sign(gradient) * np.sign(average)) * gradient
        path.append(x)
    return path


@paper
def addsign(x: Array, gradients: list[Array], lr: float, beta: float, strength: float) -> list[Array]:
    average, path = np.zeros_like(x), []
    for gradient in gradients:
        average = beta * average + (1 - beta) * gradient
        x = x - lr * (1 + strength * np.sign(gradient) * np.sign(average)) * gradient
        path.append(x)
    return path


@paper
def signsgd(x: Array, gradients: list[Array], lr: float) -> list[Array]:
    path = []
    for gradient in gradients:
        x = np.where(gradient > 0, x - lr, np.where(gradient < 0, x + lr, x))
        path.append(x)
    return path


@paper
def lion(x: Array, gradients: list[Array], lr: float, beta1: float, beta2: float) -> list[Array]:
    average, path = np.zeros_like(x), []
    for gradient in gradients:
        x = x - lr * np.sign(beta1 * average + (1 - beta1) * gradient)
        average = beta2 * average + (1 - beta2) * gradient
        path.append(x)
    return path
