"""Papers in NumPy, float64, from their own pseudo-code, for rules that no other library has as the paper has it.

A function stands for the rule of its name: from a start, the gradients and the settings it gives every iterate. It is
called for one tensor after another, and with all of them as one vector for a rule that sums over all parameters.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

Array = Any

PAPERS: dict[str, Callable[..., list[Array]]] = {}


def paper(function: Callable[..., list[Array]]) -> Callable[..., list[Array]]:
    PAPERS[function.__name__] = function
    return function


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
