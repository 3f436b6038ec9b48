"""Estimates of the Hessian's diagonal, for rules that read one from a state by the name `hutchinson`.

    optimizer = fallline.optim.Sophia(model.parameters(), every=10)
    for step, (x, y) in enumerate(batches):
        loss = F.cross_entropy(model(x), y)
        if optimizer.estimate_due(step):
            optimizer.estimate(loss)
        loss.backward()
        optimizer.step()

The optimizer writes the latest estimate, the rule says what becomes of it. Any rule with such a state has a class of
this kind, a user's own among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..kernels.spread import is_spread
from ..rules.rule import Rule
from . import replicas
from .base import RuleOptimizer

STATE = "hutchinson"

_UNTOLD = object()
"""In place of a process group: all processes, unless these step different parameters."""


def reads_curvature(rule: Rule) -> bool:
    """Whether the rule, or the one for what is no matrix, reads an estimate."""
    return STATE in rule.states or (rule.otherwise is not None and reads_curvature(rule.otherwise))


class CurvatureOptimizer(RuleOptimizer):
    """An optimizer that estimates the Hessian's diagonal for its rule.

    In several processes that train one model together (`DistributedDataParallel`) an estimate is the mean over all of
    them, as gradients are: each of them must make it at the same step. `average_over` says over which others, or none.
    """

    _replicas: Any = _UNTOLD

    def average_over(self, group: Any) -> None:
        """Take the mean of estimates over the processes of a group, which hold the same parameters; None: over none."""
        self._replicas = group

    def estimate_due(self, step: int) -> bool:
        """Whether a group's rule reads an estimate after `step` steps: every `every`-th time, or each."""
        return any(step % int(group.get("every", 1)) == 0 for group in self.param_groups)

    def estimate(self, loss: Tensor, generator: torch.Generator | None = None) -> None:
        """Hutchinson's estimate, u * (H u) with a normal vector u (Liu et al. 2023, arXiv:2305.14342, Algorithm 1).

        To be called before `loss.backward()`, which it leaves possible; it takes about as long as two of these.
        Raises `InputError` for a loss that is not one number or does not depend on any of the parameters, for
        parameters that are spread over processes (`DTensor`), and where processes hold different parameters.
        """
        params = self._trained()
        slopes = _gradients(loss, params, "loss", create_graph=True)
        noise = [torch.empty_like(p).normal_(generator=generator) for p in params]
        # a gradient that depends on no parameter, as a linear layer's on its bias may, has no curvature
        curved = [(g, u) for g, u in zip(slopes, noise, strict=True) if g is not None and g.requires_grad]
        products: Sequence[Tensor | None] = [None] * len(params)
        if curved:
            ends, weights = zip(*curved, strict=True)
            products = torch.autograd.grad(ends, params, weights, retain_graph=True, allow_unused=True)
        made = [None if h is None else u * h for u, h in zip(noise, products, strict=True)]
        self._keep(params, [g is not None for g in slopes], made)

    def estimate_gauss_newton(self, logits: Tensor, generator: torch.Generator | None = None) -> None:
        """The Gauss-Newton-Bartlett estimate for a softmax classifier (Liu et al. 2023, arXiv:2305.14342, Algorithm 2).

        The squared gradient of the cross-entropy with labels drawn from the model, times their number. `logits` has the
        classes last; a backward pass through it stays possible. Raises `InputError` for logits that have no classes or
        do not depend on any of the parameters, and as `estimate` does.
        """
        if logits.dim() == 0 or not logits.numel():
            raise InputError(
                f"logits of shape {tuple(logits.shape)} are not allowed: the last dimension is the classes."
            )
        rows = logits.reshape(-1, logits.shape[-1])
        with torch.no_grad():
            labels = torch.multinomial(rows.softmax(-1), 1, generator=generator).squeeze(-1)
        params = self._trained()
        slopes = _gradients(functional.cross_entropy(rows, labels), params, "logits")
        self._keep(params, [g is not None for g in slopes], [None if g is None else len(rows) * g**2 for g in slopes])

    def _trained(self) -> list[Tensor]:
        """The parameters that an estimate is made for."""
        params = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        if any(is_spread(p) for p in params):
            raise InputError(
                f"{type(self).__name__} makes no estimates for parameters that are spread over processes (DTensor)."
            )
        return params

    @torch.no_grad()
    def _keep(self, params: Sequence[Tensor], used: Sequence[bool], estimates: Sequence[Tensor | None]) -> None:
        """Keep the estimates of the parameters that the loss depends on: zeros where there is no curvature."""
        group = self._together()
        used = replicas.used_by_any(params, used, group)
        made = {p: estimate for p, here, estimate in zip(params, used, estimates, strict=True) if here}
        for each in self.param_groups:
            rule, values = self.rule_of(each)
            for p in filter(made.__contains__, each["params"]):
                of = rule.of_shape(p.shape, each.get("elementwise", False))
                if STATE in of.states:
                    estimate, state = made[p], self.state[p]
                    self._start(of, values, p, state)
                    state[STATE].copy_(replicas.mean(torch.zeros_like(p) if estimate is None else estimate, group))

    def _together(self) -> Any:
        """The processes over which estimates are averaged, or None."""
        if self._replicas is not _UNTOLD:
            return self._replicas
        return replicas.everyone() if self._others is None else None


def _gradients(
    loss: Tensor, params: Sequence[Tensor], argument: str, create_graph: bool = False
) -> Sequence[Tensor | None]:
    if loss.numel() != 1:
        raise InputError(f"{argument} of shape {tuple(loss.shape)} is not allowed: it must be one number.")
    if not loss.requires_grad:
        raise InputError(f"{argument} depends on no parameter: compute it from the model, outside torch.no_grad().")
    found = torch.autograd.grad(loss, params, create_graph=create_graph, retain_graph=True, allow_unused=True)
    if all(gradient is None for gradient in found):
        raise InputError(f"{argument} depends on none of the optimizer's parameters.")
    return found
