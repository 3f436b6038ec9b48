"""The path of a rule through a small valley, beside which gradient descent's is drawn.

The valley is curved, ten times as steep across as along in its bend and 250 times at its minimum: what makes training
hard, in two dimensions. Its two coordinates are a matrix of two rows and one column to rules for matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from fallline.optim import optimizer
from fallline.optim.curvature import CurvatureOptimizer
from fallline.rules import Rule

START = (-0.5, 0.3)
MINIMUM = (0.5, 0.5)
STEPS = 100
TRIALS = 20
_FAR = 100.0

Points = np.ndarray[Any, np.dtype[np.float64]]


def loss(x: Any, y: Any) -> Any:
    """The height of the valley: zero at its minimum (0.5, 0.5)."""
    return 10 * (y - 2 * x**2) ** 2 + (x - 0.5) ** 2


def gradient(x: float, y: float) -> tuple[float, float]:
    """The slope of `loss`."""
    across = y - 2 * x**2
    return -80 * x * across + 2 * (x - 0.5), 20 * across


@dataclass(frozen=True)
class Path:
    """Where a rule went: its learning rate (None: it has none to choose), and a point a step from the start on."""

    rate: float | None
    points: Points

    @property
    def losses(self) -> Points:
        """The height after each step."""
        return loss(*self.points.T)  # type: ignore[no-any-return]


@lru_cache(maxsize=None)
def tuned(rule: Rule) -> Path:
    """The rule's path at that of `TRIALS` learning rates, spread over its own search range, which ends lowest."""
    search = rule.space.get("lr")
    rates = [None] if search is None else [search.sample(k / (TRIALS - 1)) for k in range(TRIALS)]
    paths = [Path(rate, points) for rate in rates if (points := walk(rule, rate)) is not None]
    return min(paths, key=lambda path: path.losses[-1])


def walk(rule: Rule, rate: float | None) -> Points | None:
    """The points of a walk of `STEPS` steps, at the rule's defaults but for the rate; None where it is thrown out."""
    settings = {} if rate is None else {"lr": rate}
    p = torch.tensor(START, dtype=torch.float64).reshape(_shape(rule)).requires_grad_()
    p.grad = torch.zeros_like(p)
    at, slope = p.detach().numpy().reshape(2), p.grad.numpy().reshape(2)  # the same memory
    torch.manual_seed(0)
    stepper = optimizer(rule, [p], **settings)
    points = [np.array(START)]
    for _ in range(STEPS):
        slope[:] = gradient(*at)
        if isinstance(stepper, CurvatureOptimizer):
            stepper.estimate(loss(*p.flatten()))
        stepper.step()
        shown = rule.evaluated(p.detach(), stepper.state[p], settings).numpy().reshape(2)
        if not np.abs(shown).max() < _FAR:
            return None
        points.append(shown.copy())
    return np.array(points)


def _shape(rule: Rule) -> tuple[int, ...]:
    """The shape in which a rule sees the two coordinates: as a matrix, but for what takes means of a matrix's rows."""
    return (2,) if rule.by_units else (2, 1)
