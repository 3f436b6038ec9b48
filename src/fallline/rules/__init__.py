"""Update rules: each is the paper's few lines of plain PyTorch, and everything else is derived from them.

A rule takes the parameter `p`, its gradient `g` and its states, and gives the new ones:

    @rule(paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1")
    def adam(p, g, m, v, *, t, lr: Rate = 1e-3, beta1: Beta1 = 0.9, beta2: Beta2 = 0.999, eps: Epsilon = 1e-8):
        m = beta1 * m + (1 - beta1) * g
        ...
        return p - lr * m_hat / (v_hat.sqrt() + eps), m, v

- run it as it stands, on tensors: `adam(p, g, m, v, t=1)`; that is the reference;
- change it with a modifier, which gives a rule again: `adamw = decoupled(adam, name="adamw")`;
- trace it: `trace(adam)` is the graph that kernels, equations, cost sheets and stubs are made from.

A new rule is one new function in a file of `families/`, all of which are read at import.
"""

from __future__ import annotations

import importlib
import pkgutil

from . import families
from .hyper import Hyper, Interval, Range, at_least, between, linear, log, one_minus_log
from .modifier import modifier, named
from .modifiers import amsgrad, ascend, decoupled, l1, l2
from .ops import columns, maximum, minimum, numel, rows, sqrt, total, when, where
from .rule import REGISTRY, Rule, carried, get, initial, names, register, rule, shaped
from .trace import trace

__all__ = [
    "REGISTRY",
    "Hyper",
    "Interval",
    "Range",
    "Rule",
    "amsgrad",
    "ascend",
    "at_least",
    "between",
    "carried",
    "columns",
    "decoupled",
    "get",
    "initial",
    "l1",
    "l2",
    "linear",
    "log",
    "maximum",
    "minimum",
    "modifier",
    "named",
    "names",
    "numel",
    "one_minus_log",
    "register",
    "rows",
    "rule",
    "shaped",
    "sqrt",
    "total",
    "trace",
    "when",
    "where",
]

for _module in pkgutil.iter_modules(families.__path__):
    importlib.import_module(f"{families.__name__}.{_module.name}")
