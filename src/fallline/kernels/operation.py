"""The operations of a plan, and the calls of PyTorch's functions among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch.fx.node import map_aggregate

from .extent import Extent, is_tensor
from .vocabulary import REDUCTIONS, Reduce

Value = str | float
"""An operand: the name of an input or of an earlier operation, or a literal."""


@dataclass(frozen=True)
class Given:
    """A place in a call's arguments that an earlier value takes."""

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """A PyTorch function (or, by its name, a method) that no kernel has, with its arguments: values, or other calls.

    It `stacks` when the tensors of equal shape may be stacked along a new first dimension and it be called once.
    """

    function: Callable[..., Any] | str
    args: Any
    kwargs: Mapping[str, Any]
    stacks: bool
    takes: tuple[str, ...]
    """The names of the values that it takes."""
    said: tuple[Any, ...] | Reduce | None = None
    """What it is in the vocabulary, if it is there: `(op, *operands)`, nested, or a reduction."""
    shape: tuple[int, ...] | None = None
    """That of what it gives, if it is one tensor of numbers."""
    writes: tuple[str, ...] = ()
    """The states that it writes over, of those that it takes."""

    @property
    def title(self) -> str:
        """The function's name."""
        return self.function if isinstance(self.function, str) else getattr(self.function, "__name__", "a function")

    @cached_property
    def run(self) -> Callable[[Mapping[str, Any]], Any]:
        """`run(values)`: call it, with the values that it takes by name."""
        said: dict[str, Any] = {}
        function: Callable[[Mapping[str, Any]], Any] = eval(f"lambda given: {self._text(said)}", said)
        return function

    def _text(self, said: dict[str, Any]) -> str:
        """The call as Python's text, of values `given`; what has no text of its own gets a name in `said`."""

        def text(leaf: Any) -> str:
            if isinstance(leaf, Given):
                return f"given[{leaf.name!r}]"
            if isinstance(leaf, Call):
                return leaf._text(said)
            if isinstance(leaf, tuple | list):
                inside = "".join(f"{text(each)}, " for each in leaf)
                return f"[{inside}]" if isinstance(leaf, list) else f"({inside})"
            if isinstance(leaf, slice):
                return f"slice({text(leaf.start)}, {text(leaf.stop)}, {text(leaf.step)})"
            said[name := f"v{len(said)}"] = leaf
            return name

        args = [text(arg) for arg in self.args]
        named = [f"{name}={text(value)}" for name, value in self.kwargs.items()]
        if isinstance(self.function, str):
            return f"{args[0]}.{self.function}({', '.join([*args[1:], *named])})"
        return f"{text(self.function)}({', '.join([*args, *named])})"

    def within(self, inner: Mapping[str, Call]) -> Call:
        """The call with those named made inside of it."""

        def given(leaf: Any) -> Any:
            return inner.get(leaf.name, leaf) if isinstance(leaf, Given) else leaf

        args, kwargs = map_aggregate(self.args, given), map_aggregate(self.kwargs, given)
        takes = [taken for name in self.takes for taken in (inner[name].takes if name in inner else (name,))]
        stacks = self.stacks and all(call.stacks for call in inner.values())
        writes = (*self.writes, *(name for call in inner.values() for name in call.writes))
        return Call(self.function, args, kwargs, stacks, tuple(dict.fromkeys(takes)), writes=writes)


@dataclass(frozen=True)
class Operation:
    """One operation of a plan: `name = op(*args)`; `label` is the author's name for it, if any.

    `op` is a word of the vocabulary, a reduction (`sum`, `mean`, `norm`, `max`, `min`) to the operation's extent, a
    `total` over all parameters, a choice `when`, or a `call`. What has a `call` is run so, whatever its word.
    """

    name: str
    op: str
    args: tuple[Value, ...]
    extent: Extent
    boolean: bool = False
    label: str | None = None
    call: Call | None = None

    @property
    def takes(self) -> tuple[Value, ...]:
        """What it is computed from."""
        return self.args if self.call is None else self.call.takes

    @property
    def tensor(self) -> bool:
        """Whether it makes a tensor, and not one value for all of a tensor."""
        return is_tensor(self.extent)

    @property
    def reduces(self) -> bool:
        """Whether it waits for all of a tensor, a row or a column."""
        return self.call is None and (self.op in REDUCTIONS or self.op == "total")


class UnknownOperation(Exception):
    """A rule does what no plan can say; it runs as its own text, in PyTorch."""
