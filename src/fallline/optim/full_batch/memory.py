"""A limited memory of curvature: the last steps, and how the gradient changed over each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.linalg import vector_norm


def curved(step: Tensor, change: Tensor, product: Tensor) -> bool:
    """Whether a step's product with the gradient's change over it is positive, and more than a rounding error."""
    return bool(product > torch.finfo(product.dtype).eps * vector_norm(step) * vector_norm(change))


@dataclass
class LimitedMemory:
    """Pairs of a step and the gradient's change over it, the oldest first, and the scale of the first inverse Hessian.

    In an optimizer's state they have the names that `torch.optim.LBFGS` gives them.
    """

    size: int
    least: float
    """The product of a step and its change from which the pair is kept."""
    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)
    inverses: list[Tensor] = field(default_factory=list)
    """The inverse of each step's product with its change."""
    scale: Tensor | float = 1.0

    @classmethod
    def of(cls, state: Mapping[str, Any], size: int, least: float) -> LimitedMemory:
        """The memory that a state holds, to be kept to so many pairs; an empty one where it holds none."""
        if "old_stps" not in state:
            return cls(size, least)
        return cls(size, least, list(state["old_stps"]), list(state["old_dirs"]), list(state["ro"]), state["H_diag"])

    def to_state(self) -> Mapping[str, Any]:
        return {"old_stps": self.steps, "old_dirs": self.changes, "ro": self.inverses, "H_diag": self.scale}

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Keep a pair, unless the curvature along the step is not positive, and forget the oldest beyond the size.

        The scale is the newest pair's (Nocedal & Wright 2006, equation 7.20).
        """
        product = change.dot(step)
        if not product > self.least or not curved(step, change, product):
            return
        over = len(self.steps) - self.size + 1
        if over > 0:
            del self.steps[:over], self.changes[:over], self.inverses[:over]
        self.steps.append(step)
        self.changes.append(change)
        self.inverses.append(1.0 / product)
        self.scale = product / change.dot(change)

    def curvature(self) -> float:
        """The mean curvature along the steps; 0 for an empty memory."""
        along = [1.0 / (rho * s.dot(s)) for s, rho in zip(self.steps, self.inverses, strict=True)]
        return float(torch.stack(along).mean()) if along else 0.0

    def direction(self, gradient: Tensor) -> Tensor:
        """The gradient times the negative inverse Hessian: the two loops of Nocedal & Wright 2006, Algorithm 7.4."""
        r = gradient.neg()
        pairs = list(zip(self.steps, self.changes, self.inverses, strict=True))
        alphas = []
        for s, y, rho in reversed(pairs):
            alpha = float(s.dot(r) * rho)
            r.add_(y, alpha=-alpha)
            alphas.append(alpha)
        r.mul_(self.scale)
        for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            r.add_(s, alpha=float(alpha - y.dot(r) * rho))
        return r
