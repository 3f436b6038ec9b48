"""A quadratic model of the loss, and the step that minimizes it within a radius, also where it is not convex.

With the Hessian's eigenvalues at hand one number is unknown, the shift that is added to all of them. It is the damping
of Levenberg and Marquardt, here chosen so that the step is as long as the radius allows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_ROUNDS = 50


class Model:
    """The loss near a point, by its gradient (n) and its Hessian (n x n), known to a relative precision `eps`."""

    def __init__(self, gradient: Tensor, hessian: Tensor, eps: float) -> None:
        self.gradient, self.hessian, self.eps = gradient, hessian, eps
        values, self.vectors = torch.linalg.eigh(hessian)
        # raised so far above the precision that a slope that is a rounding error makes no step where all is flat
        least = eps**0.75 * float(values.abs().max())
        self.values = torch.where(values.abs() < least, least, values)

    @property
    def least_curvature(self) -> float:
        """The least eigenvalue."""
        return float(self.values[0])

    def step_within(self, radius: float) -> Tensor:
        """The step of norm at most `radius` to the model's minimum.

        More and Sorensen 1983; Nocedal & Wright 2006, section 4.3, in the eigenvectors' coordinates. Where the gradient
        has no part along the eigenvector of a negative least eigenvalue, the step goes along it (their hard case).
        """
        slopes = self.gradient @ self.vectors
        curvatures = self.values - self.values[0].clamp(max=0)
        # there one coordinate alone is as long as the radius: the shift sought is not smaller
        shift = float((slopes.abs() / radius - curvatures).max().clamp(min=0))
        for _ in range(_ROUNDS):
            # no step along an eigenvector where there is no slope, be there curvature or not
            step = torch.where(slopes == 0, 0.0, -slopes / (curvatures + shift))
            norm = float(step.norm())
            if norm <= radius * (1 + 1e-9):
                break
            # Newton's method on 1 / norm, which is concave in the shift: it comes from below and never goes too far
            shrinking = float(torch.where(slopes == 0, 0.0, step**2 / (curvatures + shift)).sum()) / norm**2
            shift += (norm / radius - 1) / shrinking
        if shift == 0 and self.least_curvature < 0:
            step[0] = math.copysign(math.sqrt(max(radius**2 - norm**2, 0.0)), -float(slopes[0]))
        return torch.mv(self.vectors, step)

    def agreement(self, step: Tensor, before: float, after: float) -> float:
        """How much of the decrease that the model predicts for a step there was; 1 where both are rounding errors."""
        predicted = -float(step @ (self.gradient + self.hessian @ step / 2))
        noise = 10 * self.eps * max(1.0, abs(before))
        if abs(predicted) <= noise and abs(before - after) <= noise:
            return 1.0
        return (before - after) / predicted if predicted > 0 else -math.inf
