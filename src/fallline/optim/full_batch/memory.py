"""A limited memory of curvature: the last steps, and how the gradient changed over each.

Its numbers are Python's, rounded as a tensor of the vectors' type would round them, so that a direction is that of
`torch.optim.LBFGS` in every bit. Nothing but the dot products and the sums of vectors is done by tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from ctypes import c_float
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


def products(step: Tensor, change: Tensor) -> tuple[float, float] | None:
    """Of a step and the gradient's change over it, `y.s` and `y.y`; nothing where the curvature is not positive.

    It is where `y.s` is more than its rounding error, and neither vector is so short that its square is lost.
    """
    sy, ss, yy = float(change.dot(step)), float(step.dot(step)), float(change.dot(change))
    rounding = torch.finfo(step.dtype).eps * math.sqrt(ss) * math.sqrt(yy)
    return (sy, yy) if sy > rounding > 0 else None


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
    inverses: list[float] = field(default_factory=list)
    """The inverse of each step's product with its change."""
    scale: float = 1.0

    @classmethod
    def of(cls, state: Mapping[str, Any], size: int, least: float) -> LimitedMemory:
        """The memory that a state holds, to be kept to so many pairs; an empty one where it holds none."""
        if "old_stps" not in state:
            return cls(size, least)
        inverses = [float(rho) for rho in state["ro"]]  # tensors in a checkpoint of torch's
        return cls(size, least, list(state["old_stps"]), list(state["old_dirs"]), inverses, float(state["H_diag"]))

    def to_state(self) -> Mapping[str, Any]:
        return {"old_stps": self.steps, "old_dirs": self.changes, "ro": self.inverses, "H_diag": self.scale}

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Keep a pair, unless the curvature along the step is not positive, and forget the oldest beyond the size.

        The scale is the newest pair's (Nocedal & Wright 2006, equation 7.20).
        """
        found = products(step, change)
        if found is None or not found[0] > self.least:
            return
        over = len(self.steps) - self.size + 1
        if over > 0:
            del self.steps[:over], self.changes[:over], self.inverses[:over]
        sy, yy = found
        self.steps.append(step)
        self.changes.append(change)
        self.inverses.append(_rounding(step.dtype)(1.0 / sy))
        self.scale = sy / yy

    def curvature(self) -> float:
        """The mean curvature along the steps; 0 for an empty memory."""
        along = [1.0 / (rho * float(s.dot(s))) for s, rho in zip(self.steps, self.inverses, strict=True)]
        return sum(along) / len(along) if along else 0.0

    def direction(self, gradient: Tensor) -> Tensor:
        """The gradient times the negative inverse Hessian: the two loops of Nocedal & Wright 2006, Algorithm 7.4."""
        rounded, r = _rounding(gradient.dtype), gradient.neg()
        pairs = list(zip(self.steps, self.changes, self.inverses, strict=True))
        alphas = []
        for s, y, rho in reversed(pairs):
            alpha = rounded(s.dot(r).item() * rho)
            r.add_(y, alpha=-alpha)
            alphas.append(alpha)
        r.mul_(self.scale)
        for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            r.add_(s, alpha=alpha - rounded(y.dot(r).item() * rho))
        return r


def _rounding(dtype: torch.dtype) -> Callable[[float], float]:
    """What rounds a number as a tensor of the type does; half types are given more digits than they have."""
    return float if dtype == torch.float64 else lambda number: c_float(number).value
