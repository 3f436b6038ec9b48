"""A stack's gradient step compiled: traced into one flat list of PyTorch's own operations, then made machine code.

PyTorch's compiler takes seconds, and fuses what lies between the products; where that pays is measured
(`calibrate.py`). A program holds for one model, one number of trials and one size of batch. It is only trusted where
the model leaves no traces in Python (a counter, say) and where, on other examples and weights, it gives what the model
gives.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..stacking import Draws, without_machine_code

WORTH_COMPILING = 2000
"""Steps that repay the compiler."""


class CannotTrace(Exception):
    """The step cannot be replayed."""


class Recording(Draws):
    """A copy of draws that keeps how each draw was made, or, once `given` is set, hands those out."""

    def __init__(self, draws: Draws) -> None:
        self.streams, self.rows = [stream.copy() for stream in draws.streams], list(draws.rows)
        self.made: list[Callable[[Draws], Tensor]] = []
        self.given: list[Tensor] | None = None

    def each(self, one: Callable[[int], Any], on: torch.device) -> list[Any]:
        """Draws that depend on values."""
        raise CannotTrace("random numbers depend on values")

    def drawn(self, make: Callable[[Draws], Tensor]) -> Tensor:
        """A draw."""
        self.made.append(make)
        return super().drawn(make) if self.given is None else self.given[len(self.made) - 1]


class Stacked(Protocol):
    """What is traced."""

    parameters: dict[str, Tensor]
    fixed: dict[str, Tensor]
    draws: Draws
    skeleton: nn.Module

    def pure_step(
        self, parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, draws: Draws
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Losses and gradients of these parameters."""


class Program:
    """The compiled step of a stack for batches like (x, y). Raises `CannotTrace`."""

    def __init__(self, stack: Stacked, x: Tensor, y: Tensor) -> None:
        self.stack = stack
        before = _python_state(stack.skeleton)
        try:
            with without_machine_code():
                graph, self.made = self._trace(x, y)
            self.run = torch.compile(graph, dynamic=False)
            same = self._gives_the_same(x, y)
        except Exception as error:
            raise CannotTrace(str(error)) from error
        if _python_state(stack.skeleton) != before:
            raise CannotTrace("the model changes Python values as it runs")
        if not same:
            raise CannotTrace("the compiled step gives other numbers")

    def _trace(self, x: Tensor, y: Tensor) -> tuple[Callable[..., Any], list[Callable[[Draws], Tensor]]]:
        from torch.fx.experimental.proxy_tensor import make_fx

        draws = Recording(self.stack.draws)
        parameters, fixed = self._copies(1.0)
        self.stack.pure_step(parameters, fixed, x, y, draws)
        made = draws.made

        def flat(parameters: list[Tensor], fixed: list[Tensor], x: Tensor, y: Tensor, noise: list[Tensor]) -> Any:
            draws.made, draws.given = [], noise
            losses, gradients = self.stack.pure_step(parameters, fixed, x, y, draws)
            return losses, list(gradients)

        noise = [make(draws) for make in made]
        return make_fx(flat)(parameters, fixed, x, y, noise), made

    def _copies(self, scale: float) -> tuple[list[Tensor], list[Tensor]]:
        parameters = [(p.detach() * scale).requires_grad_() for p in self.stack.parameters.values()]
        return parameters, [value.clone() for value in self.stack.fixed.values()]

    def _gives_the_same(self, x: Tensor, y: Tensor) -> bool:
        """Whether, with smaller weights and other inputs, the program gives what the step itself gives."""
        if x.is_floating_point():
            x = x * 0.9
        parameters, fixed = self._copies(0.9)
        losses, gradients = self.stack.pure_step(parameters, fixed, x, y, Recording(self.stack.draws))
        again, held = self._copies(0.9)
        found = self._run(again, held, x, y, Recording(self.stack.draws))
        return all(map(_same, (losses, *gradients, *fixed), (found[0], *found[1], *held)))

    @torch.no_grad()
    def _run(
        self, parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, draws: Draws
    ) -> tuple[Tensor, list[Tensor | None]]:
        noise = [make(draws) for make in self.made]
        found: tuple[Tensor, list[Tensor | None]] = self.run([p.detach() for p in parameters], list(fixed), x, y, noise)
        return found

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Every trial's loss on a batch, and its gradients by the names of the parameters."""
        parameters, fixed = self.stack.parameters, self.stack.fixed
        losses, found = self._run(list(parameters.values()), list(fixed.values()), x, y, self.stack.draws)
        return losses, dict(zip(parameters, found, strict=True))


def has_compiler() -> bool:
    """Whether there is what PyTorch's compiler needs on this machine."""
    return any(shutil.which(name) for name in ("g++", "clang++", "cl"))


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else torch.allclose(a, b, rtol=1e-3, atol=1e-5)


def _python_state(model: nn.Module) -> list[Any]:
    """What the model's modules hold besides tensors and modules, as text."""
    return [
        {name: repr(value) for name, value in vars(module).items() if not name.startswith("_")}
        for module in model.modules()
    ]
