"""One row a rule: its twin in `torch.optim`, or an independent transcription of its paper in NumPy, float64.

All rule tests are generated from here and from the registry; a new rule adds a row here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Twin:
    """The class of `torch.optim` (and of `fallline.optim`) and the settings with which it is the rule."""

    cls: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.cls}({', '.join(f'{k}={v}' for k, v in self.settings.items())})"


TWINS = {
    "sgd": Twin("SGD"),
    "momentum": Twin("SGD", {"momentum": 0.9}),
    "nesterov": Twin("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": Twin("Adam"),
    "amsgrad": Twin("Adam", {"amsgrad": True}),
    "adamw": Twin("AdamW"),
    "adamax": Twin("Adamax"),
    "nadam": Twin("NAdam"),
    "radam": Twin("RAdam"),
    "adagrad": Twin("Adagrad"),
    "rmsprop": Twin("RMSprop"),
    "rmsprop_momentum": Twin("RMSprop", {"momentum": 0.9}),
    "rmsprop_centered": Twin("RMSprop", {"centered": True}),
    "rmsprop_centered_momentum": Twin("RMSprop", {"centered": True, "momentum": 0.9}),
    "adadelta": Twin("Adadelta"),
    "rprop": Twin("Rprop"),
}

VARIANTS = [
    Twin("SGD", {"momentum": 0.9, "dampening": 0.3}),
    Twin("SGD", {"weight_decay": 0.1, "maximize": True}),
    Twin("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    Twin("Adam", {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    Twin("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    Twin("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    Twin("AdamW", {"amsgrad": True, "weight_decay": 0.3, "maximize": True}),
    Twin("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    Twin("RAdam", {"weight_decay": 0.1, "betas": (0.8, 0.95)}),
    Twin("NAdam", {"weight_decay": 0.1, "momentum_decay": 1e-2}),
    Twin("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    Twin("Adamax", {"weight_decay": 0.1}),
    Twin("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    Twin("RMSprop", {"weight_decay": 0.1, "alpha": 0.9}),
    Twin("Adadelta", {"rho": 0.5, "weight_decay": 0.1}),
    Twin("Rprop", {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.1)}),
]

PAPERS: dict[str, Callable[..., list[Array]]] = {}
"""For a rule without a twin: from the start, the gradients and the settings, every iterate."""


def paper(function: Callable[..., list[Array]]) -> Callable[..., list[Array]]:
    PAPERS[function.__name__] = function
    return function


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
