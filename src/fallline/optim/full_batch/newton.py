"""Newton's method with the exact Hessian."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ..base import Params
from . import flat
from .base import Closure, Evaluated, FullBatch
from .dense import check_size
from .derivatives import derivatives, graph_kept
from .settings import checked
from .trust_region import Model

_ACCEPTED = 1e-4
"""The share of the predicted decrease from which a step is taken."""


class Newton(FullBatch):
    """Newton's method in a trust region (Nocedal & Wright 2006, Algorithm 4.1), with the exact Hessian, n x n.

    For up to some thousand parameters: an iteration takes n backward passes and the eigenvalues of the Hessian. It is
    damped as by Levenberg and Marquardt, with the shift that keeps a step within a radius that follows how well the
    quadratic model predicts the loss, and leaves saddle points along negative curvature.

    A `step(closure)` takes up to `max_iter` iterations and `max_eval` evaluations of the closure (twice `max_iter` by
    default). It ends where no entry of the gradient is larger than `tolerance_grad` and no eigenvalue is below
    `-sqrt(tolerance_grad)`, or where the loss or all parameters change by less than `tolerance_change`. `lr` is the
    share of each step that is taken. `radius` is the first radius, the norm of the longest step allowed, and
    `max_radius` the largest. The closure is PyTorch's, and must return the loss with its graph; parameters that need
    no gradient stay as they are.

    Raises `InputError` for a setting that is not allowed, for complex or too many parameters, for several parameter
    groups, and for a missing closure. Where the loss is not finite, no step is taken, with a `RuntimeWarning`.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        radius: float = 1.0,
        max_radius: float = 1000.0,
    ) -> None:
        checked("Newton", {"max_iter": max_iter})
        settings = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": 2 * max_iter if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "radius": radius,
            "max_radius": max_radius,
        }
        super().__init__(params, settings)
        check_size("Newton", self._params)
        for p in self.param_groups[0]["params"]:
            if p.dtype not in (torch.float32, torch.float64):
                raise InputError(f"Newton was given parameters of {p.dtype}; allowed: torch.float32, torch.float64.")

    @property
    def _params(self) -> list[Tensor]:
        return [p for p in super()._params if p.requires_grad]

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Take up to `max_iter` iterations; returns the loss that the closure gave first."""
        closure = graph_kept(self._closure(closure))
        first = self._evaluate(closure)
        self._report(first.trouble or self._iterate(closure, first))
        return first.loss.detach()

    def _number(self, loss: Any) -> float:
        if not (isinstance(loss, Tensor) and loss.requires_grad):
            raise InputError(
                f"the closure of Newton.step returned {loss!r}; it must return the loss as a tensor with its graph, "
                "not detached, nor its item()."
            )
        return super()._number(loss)

    def _iterate(self, closure: Closure, now: Evaluated) -> str:
        """The iterations of a step; returns what was not finite, if that ended them."""
        group = self.param_groups[0]
        eps = max(torch.finfo(p.dtype).eps for p in self._params)
        last_evaluation = self._kept["func_evals"] - 1 + group["max_eval"]
        for _ in range(group["max_iter"] if float(group["lr"]) else 0):
            gradient, hessian = derivatives(now.loss, self._params)
            if not hessian.isfinite().all():
                return "Hessian is not finite"
            model = Model(gradient, hessian, eps)
            small = float(group["tolerance_grad"])
            if flat.largest(gradient) <= small and model.least_curvature >= -math.sqrt(small):
                break
            self._kept["n_iter"] += 1
            before, (now, moved) = now, self._descend(closure, now, model, last_evaluation)
            least = group["tolerance_change"]
            if self._kept["func_evals"] >= last_evaluation or moved <= least or abs(now.value - before.value) < least:
                break
        return ""

    def _descend(self, closure: Closure, now: Evaluated, model: Model, last_evaluation: int) -> tuple[Evaluated, float]:
        """Shrink the radius until a step lowers the loss as the model says; returns its end and largest entry, or 0."""
        group, state = self.param_groups[0], self._kept
        origin = flat.copy(self._params)
        while True:
            radius = min(float(state.setdefault("radius", group["radius"])), float(group["max_radius"]))
            step = model.step_within(radius)
            norm = float(step.norm())
            step.mul_(float(group["lr"]))
            there = self._evaluate_at(closure, origin, step, 1.0)
            ratio = model.agreement(step, now.value, there.value) if not there.trouble else -math.inf
            if ratio < 0.25:
                state["radius"] = norm / 4
            elif ratio > 0.75 and norm > 0.99 * radius:
                state["radius"] = min(2 * radius, float(group["max_radius"]))
            if ratio > _ACCEPTED:
                return there, flat.largest(step)
            flat.restore(self._params, origin)
            if flat.largest(step) <= group["tolerance_change"]:
                del state["radius"]
                return now, 0.0
            if state["func_evals"] >= last_evaluation:
                return now, 0.0
