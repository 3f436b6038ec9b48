"""Update rules: each is the paper's few lines of plain PyTorch, and everything else is derived from them.

A rule takes the parameter `p`, its gradient `g` and its states, and gives the new ones:

    @rule(paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1")
    def adam(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
        m = beta1 * m + (1 - beta1) * g
        ...
        return p - lr * m_hat / (v_hat.sqrt() + eps), m, v

- run it as it stands, on tensors: `adam(p, g, m, v, t=1)`; that is the reference;
- change it with modifiers, which give a rule again: `decoupled(adam)`, by name `get("ema(clip_norm(adamw))")`;
- trace it: `trace(adam)` is the graph that kernels, equations, cost sheets and stubs are made from.

A new rule is one new function in a file of `families/`, a new modifier one in a file of `modifiers/`; all of these are
read at import.
"""

from __future__ import annotations

import importlib
import pkgutil

from . import families, hyper, matrices, modifiers
from .composition import MODIFIERS, Modifier, named
from .hyper import Hyper, Interval, Range, at_least, at_most, between, linear, log, one_minus_log, whole
from .modifier import modifier
from .ops import columns, maximum, minimum, normal, numel, rademacher, rows, sqrt, total, uniform, when, where
from .rule import REGISTRY, Rule, carried, get, initial, names, register, rule, seal, shaped
from .trace import trace

__all__ = [
    "MODIFIERS",
    "REGISTRY",
    "Hyper",
    "Interval",
    "Modifier",
    "Range",
    "Rule",
    "at_least",
    "at_most",
    "between",
    "carried",
    "columns",
    "get",
    "hyper",
    "initial",
    "linear",
    "log",
    "matrices",
    "maximum",
    "minimum",
    "modifier",
    "named",
    "names",
    "normal",
    "numel",
    "one_minus_log",
    "rademacher",
    "register",
    "rows",
    "rule",
    "shaped",
    "sqrt",
    "total",
    "trace",
    "uniform",
    "when",
    "where",
    "whole",
    *modifiers.__all__,
]


def __getattr__(name: str) -> Modifier:
    if name in modifiers.__all__:
        return MODIFIERS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _module in pkgutil.iter_modules(families.__path__):
    importlib.import_module(f"{families.__name__}.{_module.name}")
seal()
