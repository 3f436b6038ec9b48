"""Estimates of the Hessian's diagonal, for rules that read one from a state by the name `hutchinson`.

    optimizer = fallline.optim.Sophia(model.parameters(), every=10)
    for step, (x, y) in enumerate(batches):
        loss = F.cross_entropy(model(x), y)
        if step % 10 == 0:
            optimizer.estimate(loss)
        loss.backward()
        optimizer.step()

The optimizer writes the latest estimate, the rule says what becomes of it. Any rule with such a state has a class of
this kind, a user's own among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .base import RuleOptimizer

STATE = "hutchinson"


class CurvatureOptimizer(RuleOptimizer):
    """An optimizer that estimates the Hessian's diagonal for its rule.

    Processes that train one model together must share an estimate: average `state[p]["hutchinson"]` over them.
    """

    def estimate(self, loss: Tensor, generator: torch.Generator | None = None) -> None:
        """Hutchinson's estimate, u * (H u) with a normal vector u (Liu et al. 2023, arXiv:2305.14342, Algorithm 1).

        To be called before `loss.backward()`, which it leaves possible; it takes about as long as two of these.
        Raises `InputError` for a loss that is not one number or does not depend on any of the parameters.
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
        used = [p for p, g in zip(params, slopes, strict=True) if g is not None]
        made = {p: u * h for p, u, h in zip(params, noise, products, strict=True) if h is not None}
        self._keep(used, lambda p: made.get(p, torch.zeros_like(p)))

    def estimate_gauss_newton(self, logits: Tensor, generator: torch.Generator | None = None) -> None:
        """The Gauss-Newton-Bartlett estimate for a softmax classifier (Liu et al. 2023, arXiv:2305.14342, Algorithm 2).

        The squared gradient of the cross-entropy with labels drawn from the model, times their number. `logits` has the
        classes last; a backward pass through it stays possible. Raises `InputError` for logits that have no classes or
        do not depend on any of the parameters.
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
        made = {p: len(rows) * g**2 for p, g in zip(params, slopes, strict=True) if g is not None}
        self._keep(list(made), made.__getitem__)

    def _trained(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    @torch.no_grad()
    def _keep(self, params: Sequence[Tensor], estimate: Callable[[Tensor], Tensor]) -> None:
        wanted = set(params)
        for group in self.param_groups:
            rule, values = self.read(group)
            for p in wanted.intersection(group["params"]):
                state = self.state[p]
                self._start(rule, values, p, state)
                state[STATE].copy_(estimate(p))


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
