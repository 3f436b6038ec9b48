"""The registry of forms: how a function that layers call is done for all trials at once.

A form is a function like the one it stands for, with the stack before its arguments and a trial axis before every
tensor's own axes: of length T where trials differ, of length 1 where they share the tensor. It computes with ordinary
operations, gives tensors of the same kind, and returns NotImplemented for what it leaves to `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from . import level
from .draws import Draws
from .refusal import CannotStack

Form = Callable[..., Any]
Handler = Callable[["Stack", Any, tuple[Any, ...], dict[str, Any]], Any]

FORMS: dict[Any, Handler] = {}
"""The function that a layer calls -> what is done instead."""


class Stack(TorchFunctionMode):
    """A running stack: while it is entered, every function that has a form is done by it."""

    def __init__(self, size: int, level: int, draws: Draws | None, inputs: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.size = size
        self.level = level
        self.inputs = inputs
        self.called: Any = None
        self._draws = draws

    @property
    def draws(self) -> Draws:
        """The trials' random streams. Raises `CannotStack` where there are none."""
        if self._draws is None:
            raise CannotStack("the trials cannot be stacked: random numbers are drawn where no trial has a seed.")
        return self._draws

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        self.called = func
        handler = FORMS.get(func)
        if handler is None or level.current() != self.level:
            return func(*args, **kwargs) if kwargs else func(*args)
        return handler(self, func, args, kwargs or {})

    def doing(self) -> str:
        """The name of the function that was called last."""
        return getattr(self.called, "__name__", "")

    def lead(self, value: Any) -> tuple[Any, bool]:
        """The value with the trial axis first in every tensor, and whether any tensor differs among trials."""
        if isinstance(value, Tensor):
            tensor, axis = level.unwrap(value, self.level)
            if axis is None:
                return tensor.unsqueeze(0), False
            return (tensor if axis == 0 else tensor.movedim(axis, 0)), True
        if type(value) is tuple or type(value) is list:
            parts = [self.lead(part) for part in value]
            return type(value)(part for part, _ in parts), any(differs for _, differs in parts)
        return value, False

    def back(self, value: Any) -> Any:
        """The opposite of `lead`: the tensors of one trial that stand for what a form gave."""
        if isinstance(value, Tensor):
            if value.size(0) == self.size:
                return level.wrap(value, 0, self.level)
            return value.squeeze(0)
        if type(value) is tuple or type(value) is list:
            return type(value)(self.back(part) for part in value)
        return value


def form(*functions: Any, shared: bool = False) -> Callable[[Form], Form]:
    """Make a function the form of those that it stands for.

    Where no tensor differs among trials the function is done once for all as it stands, unless the form takes `shared`
    tensors too, as random functions must.
    """

    def register(run: Form) -> Form:
        def handle(stack: Stack, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            differs = False
            given: list[Any] = []
            for value in args:
                led, differing = stack.lead(value)
                given.append(led)
                differs |= differing
            named: dict[str, Any] = {}
            for name, value in kwargs.items():
                named[name], differing = stack.lead(value)
                differs |= differing
            if differs or shared:
                layer = level.pop()
                try:
                    result = run(stack, *given, **named)
                finally:
                    level.push(layer)
                if result is not NotImplemented:
                    return stack.back(result)
            return func(*args, **kwargs)

        for function in functions:
            FORMS[function] = handle
        return run

    return register


def opened(*functions: Any) -> None:
    """Have forms reach the functions inside of these: a copy of each runs with the stack still looking on.

    PyTorch's own functions ask first whether somebody looks on and would come back here; the copies do not ask.
    """
    for function in functions:
        scope = dict(function.__globals__)
        scope.update({name: _nobody for name in scope if name.startswith("has_torch_function")})
        inside = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
        inside.__kwdefaults__ = function.__kwdefaults__

        def handle(
            stack: Stack, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], inside: FunctionType = inside
        ) -> Any:
            with stack:
                return inside(*args, **kwargs)

        FORMS[function] = handle


def _nobody(*args: Any) -> bool:
    return False
