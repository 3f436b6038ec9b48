"""The operations of a plan, and the calls of PyTorch's functions among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.fx.node import map_aggregate

from .extent import Extent
from .vocabulary import REDUCTIONS

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

    @property
    def title(self) -> str:
        """The function's name."""
        return self.function if isinstance(self.function, str) else getattr(self.function, "__name__", "a function")

    def run(self, look_up: Callable[[str], Any]) -> Any:
        """Call it, with `look_up(name)` for the values that it takes."""

        def given(leaf: Any) -> Any:
            if isinstance(leaf, Given):
                return look_up(leaf.name)
            return leaf.run(look_up) if isinstance(leaf, Call) else leaf

        args, kwargs = map_aggregate(self.args, given), map_aggregate(self.kwargs, given)
        if isinstance(self.function, str):
            return getattr(args[0], self.function)(*args[1:], **kwargs)
        return self.function(*args, **kwargs)

    def within(self, inner: Mapping[str, Call]) -> Call:
        """The call with those named made inside of it."""

        def given(leaf: Any) -> Any:
            return inner.get(leaf.name, leaf) if isinstance(leaf, Given) else leaf

        args, kwargs = map_aggregate(self.args, given), map_aggregate(self.kwargs, given)
        takes = [taken for name in self.takes for taken in (inner[name].takes if name in inner else (name,))]
        stacks = self.stacks and all(call.stacks for call in inner.values())
        return Call(self.function, args, kwargs, stacks, tuple(dict.fromkeys(takes)))


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
    def tensor(self) -> bool:
        """Whether it makes a tensor, and not one value for all of a tensor."""
        return self.extent not in ("number", "scalar")

    @property
    def reduces(self) -> bool:
        """Whether it waits for all of a tensor, a row or a column."""
        return self.call is None and (self.op in REDUCTIONS or self.op == "total")


class UnknownOperation(Exception):
    """A rule does what no plan can say; it runs as its own text, in PyTorch."""
