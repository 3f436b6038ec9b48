"""A model's trials, stacked and each alone: what all tests of stacking compare."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from fallline.stacking import Draws, over_trials

Make = Callable[[], nn.Module]


def mean_square(outputs: Tensor, y: Tensor) -> Tensor:
    """A loss for outputs of any shape, no two of which weigh the same."""
    weights = torch.linspace(0.5, 1.5, outputs[0].numel(), dtype=outputs.dtype).view(outputs.shape[1:])
    return (outputs * weights).square().mean() + outputs.mean() * y.float().mean()


class Both:
    """`trials` models of one kind with weights, examples and seeds of their own, in float64."""

    def __init__(
        self,
        make: Make,
        example: Sequence[int],
        *,
        tokens: int = 0,
        trials: int = 3,
        n: int = 6,
        loss: Callable[[Tensor, Tensor], Tensor] = mean_square,
        train: bool = True,
        seeds: Sequence[int] = (1, 2, 1),
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.models = []
        for k in range(trials):
            torch.manual_seed(k)
            self.models.append(make().to(dtype).train(train))
        torch.manual_seed(100)
        shape = (trials, n, *example)
        self.x = torch.randint(tokens, shape) if tokens else torch.randn(shape, dtype=dtype)
        if not tokens:
            self.x.requires_grad_()
        self.y = torch.randint(5, (trials, n))
        self.loss, self.seeds = loss, list(seeds)[:trials]
        self.draws = Draws(self.seeds)
        self.skeleton = copy.deepcopy(self.models[0])
        parameters, buffers = stack_module_state(self.models)
        self.parameters = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        self.buffers = {name: b.clone() for name, b in buffers.items()}

    def one(self, parameters: Any, buffers: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and outputs of a trial."""
        outputs = functional_call(self.skeleton, (parameters, buffers), (x,))
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        return self.loss(outputs, y), outputs

    def stacked(self, in_dims: Any = 0) -> tuple[Tensor, Tensor]:
        """Losses and outputs of all trials; gradients are left in the parameters."""
        over = over_trials(self.one, in_dims, self.draws)
        losses, outputs = over(self.parameters, self.buffers, self.x, self.y)
        losses.sum().backward()
        return losses, outputs

    def alone(self, k: int) -> tuple[Tensor, Tensor]:
        """Loss and outputs of a trial alone; its global generator goes on from its seed."""
        model = self.models[k]
        outputs = model(self.x[k])
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs
        loss = self.loss(outputs, self.y[k])
        loss.backward()
        return loss, outputs

    def check(self, steps: int = 2, rtol: float = 1e-9, atol: float = 1e-11) -> None:
        """Outputs, losses, gradients and buffers are the same, for some steps in a row."""
        found = [self.stacked() for _ in range(steps)]
        by_x, self.x.grad = self.x.grad, None
        for k, model in enumerate(self.models):
            torch.manual_seed(self.seeds[k])
            for losses, outputs in found:
                loss, output = self.alone(k)
                torch.testing.assert_close(outputs[k], output, rtol=rtol, atol=atol)
                torch.testing.assert_close(losses[k], loss, rtol=rtol, atol=atol)
            for name, p in model.named_parameters():
                together = self.parameters[name].grad
                if p.grad is None:
                    assert together is None
                    continue
                assert together is not None
                assert together.is_contiguous()
                torch.testing.assert_close(together[k], p.grad, rtol=rtol, atol=atol, msg=lambda m, name=name: name + m)
            for name, b in model.named_buffers():
                torch.testing.assert_close(self.buffers[name][k], b, rtol=rtol, atol=atol)
        torch.testing.assert_close(by_x, self.x.grad, rtol=rtol, atol=atol)


def classes(outputs: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy."""
    return F.cross_entropy(outputs, y)
