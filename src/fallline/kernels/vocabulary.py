"""The closed vocabulary of kernels: every way in which a rule's text may write an operation, and what it expands to.

An expansion is a nested tuple `(op, *operands)`. A rule may use other PyTorch functions too: these are run as they are.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import fx

from ..rules import ops
from ..rules.draws import number_of

Expand = Callable[..., Any]

ARITHMETIC = {"add", "sub", "mul", "div", "mod", "floordiv", "pow", "neg", "abs", "sign", "maximum", "minimum"}
FUNCTIONS = {"sqrt", "exp", "log", "tanh", "cos"}
BOOLEAN = {"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"}
DRAWS = {"normal", "uniform", "rademacher"}
REDUCTIONS = ("sum", "mean", "norm", "max", "min", "squares")
FACTS = {ops.numel: "#numel", ops.rows: "#rows", ops.columns: "#columns"}
"""Numbers that a parameter's shape gives, under names that are no identifiers."""


class Reduce(NamedTuple):
    """A reduction as a rule's text asks for it: of all elements where `dims` is empty, else along kept dimensions."""

    op: str
    of: Any
    dims: tuple[int, ...]


def expansion(node: fx.Node) -> Expand | None:
    """What a node's operation expands to; None outside the vocabulary."""
    return _WORDS.get(node.target if node.op != "call_method" else f".{node.target}")


def reduction(node: fx.Node) -> Reduce | None:
    """The reduction that a node asks for; None where it is none, or one that no kernel has."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    home = (getattr(node.target, "__module__", "torch") or "torch").partition(".")[0]
    read = _REDUCTIONS.get(name)
    if read is None or home != "torch":
        return None
    try:
        op, of, dim, keepdim = read(*node.args, **node.kwargs)
    except TypeError:
        return None
    dims = () if dim is None else tuple(sorted(dim)) if isinstance(dim, tuple | list) else (dim,)
    known = not dims or (keepdim and dims in ((-1,), (-2,), (-2, -1)))
    return Reduce(op, of, dims) if known else None


def _plainly(op: str, dim_needed: bool = False) -> Expand:
    def read(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim_needed and dim is not None:
            raise TypeError("gives indices too")
        return op, x, dim, keepdim

    return read


def _norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, p: Any = None) -> Any:
    ord = ord if p is None else p
    if ord in (2, "fro"):
        return "norm", x, dim, keepdim
    if ord == 1:
        return "sum", ("abs", x), dim, keepdim
    if ord == math.inf:
        return "max", ("abs", x), dim, keepdim
    raise TypeError(f"norm of order {ord}")


_REDUCTIONS: dict[str, Expand] = {
    "sum": _plainly("sum"),
    "mean": _plainly("mean"),
    "amax": _plainly("max"),
    "amin": _plainly("min"),
    "max": _plainly("max", dim_needed=True),
    "min": _plainly("min", dim_needed=True),
    "norm": _norm,
    "vector_norm": _norm,
}


def _call(op: str, arity: int) -> Expand:
    def expand(*args: Any, **kwargs: Any) -> Any:
        if len(args) != arity or kwargs:
            raise TypeError
        return (op, *args)

    return expand


def _power(base: Any, exponent: Any) -> Any:
    """Powers that PyTorch computes by products and roots are those products and roots, so that results agree."""
    if exponent == 2:
        return ("mul", base, base)
    if exponent == 3:
        return ("mul", ("mul", base, base), base)
    if exponent == 0.5:
        return ("sqrt", base)
    if exponent == -0.5:
        return ("div", 1.0, ("sqrt", base))
    if exponent == -1:
        return ("div", 1.0, base)
    return ("pow", base, exponent)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else ("maximum", x, min)
    return x if max is None else ("minimum", x, max)


def _add(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    return ("add", a, b) if alpha == 1 else ("add", a, ("mul", alpha, b))


def _sub(a: Any, b: Any, *, alpha: Any = 1) -> Any:
    return ("sub", a, b) if alpha == 1 else ("sub", a, ("mul", alpha, b))


def _lerp(a: Any, b: Any, weight: Any) -> Any:
    return ("add", a, ("mul", weight, ("sub", b, a)))


def _draw(op: str) -> Expand:
    def expand(like: Any, t: Any, seed: Any = 0, stream: str = "") -> Any:
        return op, like, t, seed, float(number_of(stream))

    return expand


def _words() -> dict[Any, Expand]:
    words: dict[Any, Expand] = {
        operator.add: _add,
        operator.sub: _sub,
        operator.pow: _power,
        torch.pow: _power,
        ".pow": _power,
        torch.clamp: _clamp,
        ".clamp": _clamp,
        ".clamp_min": lambda x, min: ("maximum", x, min),
        ".clamp_max": lambda x, max: ("minimum", x, max),
        ops.where: _call("where", 3),
        torch.where: _call("where", 3),
        ".where": lambda a, condition, b: ("where", condition, a, b),
        torch.square: lambda x: _power(x, 2),
        ".square": lambda x: _power(x, 2),
        torch.rsqrt: lambda x: _power(x, -0.5),
        ".rsqrt": lambda x: _power(x, -0.5),
        torch.reciprocal: lambda x: _power(x, -1),
        ".reciprocal": lambda x: _power(x, -1),
        torch.lerp: _lerp,
        ".lerp": _lerp,
        ops.maximum: _call("maximum", 2),
        ops.minimum: _call("minimum", 2),
        ops.when: _call("when", 3),
        ops.total: _call("total", 1),
        operator.and_: _call("and", 2),
        operator.or_: _call("or", 2),
        operator.invert: _call("not", 1),
        operator.neg: _call("neg", 1),
        operator.mod: _call("mod", 2),
        operator.floordiv: _call("floordiv", 2),
        ops.sqrt: _call("sqrt", 1),
        ops.exp: _call("exp", 1),
        ops.log: _call("log", 1),
        ops.cos: _call("cos", 1),
        ops.stored: _call("stored", 1),
    }
    words |= {draw: _draw(draw.__name__) for draw in ops.DRAWS}
    for op, expand in {"add": _add, "sub": _sub}.items():
        words[getattr(torch, op)] = words[f".{op}"] = expand
    for op in ("mul", "div", "maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne"):
        words[getattr(torch, op)] = words[f".{op}"] = _call(op, 2)
    for op in ("abs", "neg", "sign", *FUNCTIONS):
        words[getattr(torch, op)] = words[f".{op}"] = _call(op, 1)
    for op in ("mul", "truediv", "gt", "ge", "lt", "le", "eq", "ne"):
        words[getattr(operator, op)] = _call("div" if op == "truediv" else op, 2)
    return words


_WORDS = _words()
