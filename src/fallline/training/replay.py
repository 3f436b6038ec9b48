"""A stack's gradient step as it was recorded: PyTorch's operations one after another, and nothing that decides on them.

Python, `vmap` and autograd take longer to find out what to do than a small model takes to be computed. They find the
same at every step, so it is recorded once and replayed: the same operations, the same bits. A recording holds for one
number of trials and one size of batch. It is only trusted where the model leaves no traces in Python (a counter, say)
and where, on other examples and weights, it gives what the model gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..stacking import Draws

Make = Callable[[Draws], Tensor]
Step = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor, Tensor, Sequence[Tensor]], Any]
"""`step(parameters, fixed, x, y, noise)`: the losses and the gradients."""


WORTH_RECORDING = 64
"""Steps that repay a recording."""


class CannotRecord(Exception):
    """The step cannot be replayed."""


class Stacked(Protocol):
    """What is recorded."""

    parameters: dict[str, Tensor]
    fixed: dict[str, Tensor]
    draws: Draws
    skeleton: nn.Module

    def pure_step(
        self, parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, draws: Draws
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Losses and gradients of these parameters."""


Maker = Callable[[Stacked, Tensor, Tensor], tuple[Step, list[Make]]]
"""Of a stack and a batch: the step, and how its random numbers are made."""


class Noted(Draws):
    """A copy of draws that notes how each draw was made, or, once `given` is set, hands those out."""

    def __init__(self, draws: Draws) -> None:
        self.streams, self.rows = [stream.copy() for stream in draws.streams], list(draws.rows)
        self.made: list[Make] = []
        self.given: list[Tensor] | None = None

    def each(self, one: Callable[[int], Any], on: torch.device) -> list[Any]:
        """Draws that depend on values."""
        raise CannotRecord("random numbers depend on values")

    def drawn(self, make: Make) -> Tensor:
        """A draw."""
        self.made.append(make)
        return super().drawn(make) if self.given is None else self.given[len(self.made) - 1]


class Replay:
    """The step of a stack for batches like (x, y), replayed as `make` makes it. Raises `CannotRecord`.

    Its numbers may differ from the step's own by the share `tolerance`; by default they are the same bits.
    """

    def __init__(self, stack: Stacked, x: Tensor, y: Tensor, make: Maker | None = None, tolerance: float = 0.0) -> None:
        self.stack, self.tolerance = stack, tolerance
        before = _python_state(stack.skeleton)
        try:
            self.run, self.made = (make or record)(stack, x, y)
            same = self._gives_the_same(x, y)
        except Exception as error:
            raise CannotRecord(str(error)) from error
        if _python_state(stack.skeleton) != before:
            raise CannotRecord("the model changes Python values as it runs")
        if not same:
            raise CannotRecord("a replayed step gives other numbers")

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
        """Every trial's loss on a batch, and its gradients by the names of the parameters."""
        parameters, fixed = self.stack.parameters, self.stack.fixed
        losses, found = self._run(list(parameters.values()), list(fixed.values()), x, y, self.stack.draws)
        return losses, dict(zip(parameters, found, strict=True))

    def _gives_the_same(self, x: Tensor, y: Tensor) -> bool:
        """Whether, with smaller weights and other inputs, a replay gives what the step itself gives."""
        if x.is_floating_point():
            x = x * 0.9
        parameters, fixed = copies(self.stack, 0.9)
        losses, gradients = self.stack.pure_step(parameters, fixed, x, y, Noted(self.stack.draws))
        again, held = copies(self.stack, 0.9)
        found = self._run(again, held, x, y, Noted(self.stack.draws))
        pairs = zip((losses, *gradients, *fixed), (found[0], *found[1], *held), strict=True)
        return all(_same(mine, theirs, self.tolerance) for mine, theirs in pairs)

    @torch.no_grad()
    def _run(
        self, parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, draws: Draws
    ) -> tuple[Tensor, list[Tensor | None]]:
        noise = [make(draws) for make in self.made]
        found: tuple[Tensor, list[Tensor | None]] = self.run([p.detach() for p in parameters], fixed, x, y, noise)
        return found


def record(stack: Stacked, x: Tensor, y: Tensor) -> tuple[Step, list[Make]]:
    """The step as a flat list of operations, and how its random numbers are made."""
    draws, (parameters, fixed) = Noted(stack.draws), copies(stack)
    stack.pure_step(parameters, fixed, x, y, draws)
    made, noise = draws.made, [make(draws) for make in draws.made]
    draws.made, draws.given = [], noise
    recorder = _Recorder([*parameters, *fixed, x, y, *noise])
    with recorder:
        losses, gradients = stack.pure_step(parameters, fixed, x, y, draws)
    flat = recorder.function([losses, *gradients])

    def run(
        parameters: Sequence[Tensor], fixed: Sequence[Tensor], x: Tensor, y: Tensor, noise: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        losses, *found = flat(*parameters, *fixed, x, y, *noise)
        assert losses is not None
        return losses, found

    return run, made


def copies(stack: Stacked, scale: float = 1.0) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters, scaled, and fixed tensors that a trial run may change."""
    parameters = [(p.detach() * scale).requires_grad_() for p in stack.parameters.values()]
    return parameters, [value.clone() for value in stack.fixed.values()]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation with the places of its tensors; a tensor that nothing here made is kept as it is."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names = {id(tensor): f"t{k}" for k, tensor in enumerate(inputs)}
        self.inputs = [self.names[id(tensor)] for tensor in inputs]
        self.alive: list[Any] = list(inputs)  # an address must not be given to another tensor
        self.scope: dict[str, Any] = {}
        self.lines: list[tuple[str, str]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch would guard the method against its compiler, and import that, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags or torch.Tag.data_dependent_output in func.tags:
            raise CannotRecord(f"{func} depends on values or on chance")
        given = f"{', '.join([*self._texts(args), *(f'{k}={self._text(v)}' for k, v in (kwargs or {}).items())])}"
        result = func(*args, **(kwargs or {}))
        name = f"f{len(self.lines)}"
        self.scope[name] = func
        self.lines.append((self._target(result), f"{name}({given})"))
        return result

    def _target(self, result: Any) -> str:
        if isinstance(result, Tensor):
            if id(result) not in self.names:
                self.names[id(result)] = f"t{len(self.alive)}"
                self.alive.append(result)
            return self.names[id(result)]
        if isinstance(result, tuple | list):
            return f"({''.join(f'{self._target(part)}, ' for part in result)})" if result else "_"
        return "_"

    def _texts(self, values: Any) -> Iterator[str]:
        return (self._text(value) for value in values)

    def _text(self, value: Any) -> str:
        if isinstance(value, Tensor) and id(value) in self.names:
            return self.names[id(value)]
        if isinstance(value, list):
            return f"[{', '.join(self._texts(value))}]"
        if value is None or type(value) in (bool, int, str):
            return repr(value)
        name = f"c{len(self.scope)}"
        self.scope[name] = value
        self.alive.append(value)
        return name

    def function(self, outputs: Sequence[Tensor | None]) -> Callable[..., list[Tensor | None]]:
        """What was noted as a function of the inputs; tensors are let go after their last use."""
        body = [f"    {target} = {call}" for target, call in self.lines]
        results = ", ".join("None" if tensor is None else self.names[id(tensor)] for tensor in outputs)
        head, tail = f"def replay({', '.join(self.inputs)}):", f"    return [{results}]"
        text = "\n".join([head, *_freed(body, results), tail])
        exec(compile(text, "<recorded step>", "exec"), self.scope)
        function: Callable[..., list[Tensor | None]] = self.scope["replay"]
        return function


def _freed(lines: Sequence[str], kept: str) -> list[str]:
    """The lines, with the names that no later line has deleted."""
    words = [set(re.findall(r"\bt\d+\b", line)) for line in lines]
    later = set(re.findall(r"\bt\d+\b", kept))
    out: list[str] = []
    for line, used in zip(reversed(lines), reversed(words), strict=True):
        gone = sorted(used - later)
        later |= used
        out.append(f"{line}; del {', '.join(gone)}" if gone else line)
    return out[::-1]


def _same(a: Tensor | None, b: Tensor | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance / 100) if tolerance else torch.equal(a, b)


def _python_state(model: nn.Module) -> list[Any]:
    """What the model's modules hold besides tensors and modules, as text; frozen norms go back to evaluation as they
    are called, so whether a module trains says nothing."""
    return [
        {name: repr(value) for name, value in vars(module).items() if not name.startswith("_") and name != "training"}
        for module in model.modules()
    ]
