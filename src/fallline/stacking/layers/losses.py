"""Cross-entropy: the examples of all trials as one batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import compute, fits
from ..form import Stack, form


@form(F.cross_entropy)
def cross_entropy(
    stack: Stack,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """input (T, N, C, *), target (T, N, *) of classes or (T, N, C, *) of probabilities."""
    if size_average is not None or reduce is not None or input.dim() < 3:
        return NotImplemented
    if weight is not None and weight.size(0) != 1:
        return NotImplemented
    size = max(input.size(0), target.size(0))
    plain = weight is None and label_smoothing == 0 and reduction == "mean" and not target.is_floating_point()
    if plain and input.dim() == 3 and input.size(0) == stack.size and fits(input) and target.dtype == torch.int64:
        return CrossEntropy.apply(input.contiguous(), target.contiguous(), ignore_index)  # type: ignore[no-untyped-call]
    input, target = input.expand(size, *input.shape[1:]), target.expand(size, *target.shape[1:])
    losses = F.cross_entropy(
        input.flatten(0, 1),
        target.flatten(0, 1),
        weight if weight is None else weight[0],
        ignore_index=ignore_index,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    if reduction == "none":
        return losses.view(size, -1, *losses.shape[1:])
    losses = losses.view(size, -1)
    if reduction == "sum":
        return losses.sum(1)
    if target.is_floating_point():
        return losses.sum(1) / (losses.size(1))
    if weight is None and ignore_index < 0:
        # an index that is no class marks what is left out; without any, all are counted
        return losses.sum(1) / (target != ignore_index).view(size, -1).sum(1)
    counted = target != ignore_index
    shares = counted.to(losses.dtype) if weight is None else weight[0][target.where(counted, 0)] * counted
    return losses.sum(1) / shares.view(size, -1).sum(1)


class CrossEntropy(Function):
    """Mean cross-entropy of scores (T, N, C) against classes (T or 1, N), with its gradient: (T).

    Minus infinity where a target is none of the classes: to look would be to wait for every step.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, classes: Tensor, ignored: int) -> Tensor:
        size, n, c = scores.shape
        losses, gradients = scores.new_empty(size), torch.empty_like(scores)
        apart = 0 if classes.size(0) == 1 else n
        sizes, inputs = (n, c, ignored, apart), (scores, classes)
        compute("losses.cross_entropy", size, 4 * scores.numel(), 0, sizes, inputs, (losses, gradients))
        ctx.save_for_backward(gradients)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (gradients,) = ctx.saved_tensors
        return gradients * grads[0].view(-1, 1, 1), None, None
