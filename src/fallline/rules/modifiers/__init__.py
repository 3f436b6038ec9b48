"""Modifiers: each takes a rule and gives a rule. They compose, and the result is still one pass over memory.

    adamw = decoupled(adam, name="adamw")
    optimizer = fallline.optim.AdamW(params, clip_norm=1.0, ema=0.999)
    fallline.compare(problem, rules=["adamw", "ema(clip_norm(adamw, max_norm=0.5))"])

A new modifier is one new function in a file of this folder, all of which are read at import.
"""

from __future__ import annotations

import importlib
import pkgutil

from ..composition import MODIFIERS, Modifier

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = sorted(MODIFIERS)


def __getattr__(name: str) -> Modifier:
    if name in MODIFIERS:
        return MODIFIERS[name]
    raise AttributeError(f"fallline.rules.modifiers has no {name!r}. It has {', '.join(__all__)}.")
