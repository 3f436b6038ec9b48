"""The gradient and the Hessian of a loss that a closure has computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ROWS = 16
"""Rows of the Hessian that are computed at once: that many times the memory of a backward pass."""


class _GraphKept(TorchFunctionMode):
    """Where it is on, `backward` keeps the graph, so that the loss can be differentiated again."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        settings = dict(kwargs or {})
        if func in (Tensor.backward, torch.autograd.backward):
            settings["retain_graph"] = True
        return func(*args, **settings)


def graph_kept(closure: Callable[[], Any]) -> Callable[[], Any]:
    """The closure, which returns its loss with the graph that its `backward` would have freed."""

    def call() -> Any:
        with _GraphKept():
            return closure()

    return call


def derivatives(loss: Tensor, params: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The gradient (n) and the Hessian (n x n) of a loss in the parameters as one vector, in double precision.

    Parameters that the loss does not depend on have zeros.
    """
    with torch.enable_grad():
        parts = torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)
        gradient = torch.cat([part.reshape(-1) for part in parts])
    n = len(gradient)
    hessian = torch.zeros(n, n, dtype=torch.float64, device=gradient.device)
    if gradient.requires_grad:
        for start in range(0, n, _ROWS):
            rows = hessian[start : start + _ROWS]
            rows.copy_(_rows(gradient, params, start, len(rows)))
    return gradient.detach().double(), (hessian + hessian.T) / 2


def _rows(gradient: Tensor, params: Sequence[Tensor], start: int, count: int) -> Tensor:
    chosen = torch.zeros(count, len(gradient), dtype=gradient.dtype, device=gradient.device)
    chosen[:, start : start + count].fill_diagonal_(1)
    found = torch.autograd.grad(gradient, params, chosen, retain_graph=True, allow_unused=True, is_grads_batched=True)
    parts = [
        torch.zeros_like(chosen[:, : p.numel()]) if part is None else part.reshape(count, -1)
        for p, part in zip(params, found, strict=True)
    ]
    return torch.cat(parts, 1)
