"""One update of the weights: the gradient of a batch, in parts where that is asked for, and the rule's step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..optim import CurvatureOptimizer, RuleOptimizer
from ..problems.metric import Loss
from .parallel import Peers
from .precision import Precision


class Update:
    """`update(x, y, whole)` steps the weights on a batch, of which (x, y) are this process's share.

    The batch is computed in `parts`, as even as they can be, whose gradients are summed: the mean loss over the batch
    is what is lowered, whatever the number of parts and of processes. (With a loss that does not weigh examples evenly,
    by class weights or ignored labels, each part has its own weights.) A `penalized` model gives its outputs, and what
    is to be added to the loss.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: RuleOptimizer,
        precision: Precision,
        peers: Peers,
        parts: int = 1,
        penalized: bool = False,
    ) -> None:
        self._model, self._loss, self._penalized = model, loss, penalized
        self._optimizer, self._scaler = optimizer, precision.scaler
        self._context, self._peers, self._parts = precision.context, peers, parts
        self._parameters: Sequence[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self._climbs = any(optimizer.rule_of(group)[0].climb is not None for group in optimizer.param_groups)

        self._curved = optimizer if isinstance(optimizer, CurvatureOptimizer) else None
        self._estimates = False
        if self._curved is not None and (not peers.alone or self._scaler is not None):
            raise InputError(
                "a rule that looks at curvature (Sophia) is not trained by several processes, nor in fp16: its "
                "estimates would differ."
            )

    def __call__(self, x: Tensor, y: Tensor, whole: int, step: int) -> Tensor:
        """Take the step; the mean loss over (x, y) before it, without penalties. `whole` counts the batch's examples
        over all processes, `step` the updates before this one."""
        self._estimates = self._curved is not None and self._curved.estimate_due(step)
        value = self._gradients(x, y, whole)
        if self._climbs:
            self._optimizer.uphill(lambda: self._gradients(x, y, whole))
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return value

    def _gradients(self, x: Tensor, y: Tensor, whole: int) -> Tensor:
        for p in self._parameters:
            p.grad = None
        # PyTorch takes the mean over processes; what counts is the sum of their shares
        share = self._peers.share.examples(whole) * self._peers.share.of / whole
        if self._parts == 1 or len(y) == 1:
            return self._backward(x, y, share)
        xs, ys = torch.tensor_split(x, self._parts), torch.tensor_split(y, self._parts)
        pieces = [(a, b) for a, b in zip(xs, ys, strict=True) if len(b)]
        values = []
        for k, (a, b) in enumerate(pieces, 1):
            part = len(b) / len(y)
            if k == len(pieces):
                values.append(self._backward(a, b, share * part) * part)
            else:
                with self._peers.without_sums(self._model):
                    values.append(self._backward(a, b, share * part) * part)
        return torch.stack(values).sum()

    def _backward(self, x: Tensor, y: Tensor, weight: float) -> Tensor:
        """Add the gradients of so much of the mean loss over (x, y), which is returned."""
        with self._context():
            outputs, penalty = self._model(x) if self._penalized else (self._model(x), None)
            value = self._loss(outputs, y)
        if self._curved is not None and self._estimates:
            self._curved.estimate(value)
            self._estimates = False
        lowered = value if penalty is None else value + penalty
        if weight != 1.0:
            lowered = lowered * weight
        if self._scaler is not None:
            lowered = self._scaler.scale(lowered)
        lowered.backward()
        return value.detach()
