"""Standard test functions (More, Garbow & Hillstrom 1981, and others), and how a method runs on one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def beale(x: Tensor) -> Tensor:
    a, b = x
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def himmelblau(x: Tensor) -> Tensor:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def powell_singular(x: Tensor) -> Tensor:
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def quadratic(x: Tensor) -> Tensor:
    """Curvatures from 1 to 10,000."""
    return 0.5 * (torch.logspace(0, 4, len(x), dtype=x.dtype) * x**2).sum()


@dataclass(frozen=True)
class Case:
    function: Callable[[Tensor], Tensor]
    start: tuple[float, ...]
    minimum: tuple[float, ...]
    near: float = 1e-6
    """How near the minimum a gradient of 1e-8 brings: the Hessian of Powell's function is singular there."""


CASES = {
    "rosenbrock": Case(rosenbrock, (-1.2, 1.0), (1.0, 1.0)),
    "rosenbrock10": Case(rosenbrock, (0.5,) * 10, (1.0,) * 10),
    "beale": Case(beale, (1.0, 1.0), (3.0, 0.5)),
    "himmelblau": Case(himmelblau, (0.0, 0.0), (3.0, 2.0)),
    "powell_singular": Case(powell_singular, (3.0, -1.0, 0.0, 1.0), (0.0,) * 4, near=5e-3),
    "quadratic": Case(quadratic, (1.0,) * 10, (0.0,) * 10),
}


def for_scipy(function: Callable[[Tensor], Tensor]) -> Callable[[Array], tuple[float, Array]]:
    """The function's value and gradient, on arrays."""

    def both(x: Array) -> tuple[float, Array]:
        p = torch.tensor(x, requires_grad=True)
        value = function(p)
        value.backward()
        return value.item(), p.grad.numpy()

    return both


def hessian(function: Callable[[Tensor], Tensor]) -> Callable[[Array], Array]:
    return lambda x: torch.autograd.functional.hessian(function, torch.tensor(x)).numpy()


class Run:
    """An optimizer on a function: where it is, and how often it evaluated."""

    def __init__(self, cls: type, function: Callable[[Tensor], Tensor], start: Any, **settings: Any) -> None:
        self.p = torch.as_tensor(start).clone().requires_grad_()
        self.function = function
        self.optimizer = cls([self.p], **settings)
        self.evaluations = 0

    def closure(self) -> Tensor:
        self.evaluations += 1
        self.optimizer.zero_grad()
        loss = self.function(self.p)
        loss.backward()
        return loss

    def step(self) -> Any:
        return self.optimizer.step(self.closure)

    @property
    def x(self) -> Tensor:
        return self.p.detach().clone()

    @property
    def gradient(self) -> Tensor:
        (found,) = torch.autograd.grad(self.function(self.p), self.p)
        return found
